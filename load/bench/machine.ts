// What a figure was measured on.
import { readFileSync } from "node:fs";
import { cpus, release, totalmem } from "node:os";
import { join } from "node:path";
import { ROOT } from "../server/build.ts";

const GIB = 2 ** 30;

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGib: number;
  readonly kernel: string;
  readonly node: string;
  readonly workerd: string;
}

export function describeMachine(): Machine {
  const manifest = readFileSync(join(ROOT, "node_modules/workerd/package.json"), "utf8");
  const all = cpus();
  return {
    cpu: all[0]?.model ?? "unknown",
    cores: all.length,
    memoryGib: Math.round(totalmem() / GIB),
    kernel: release(),
    node: process.version,
    workerd: (JSON.parse(manifest) as { version: string }).version,
  };
}

export function machineLine({ cpu, cores, memoryGib, kernel, node, workerd }: Machine): string {
  return `${cpu}, ${cores} cores, ${memoryGib} GiB, kernel ${kernel}, node ${node}, workerd ${workerd}`;
}
