// The workerd process behind a Miniflare, which does not tell: found among this process's children, by /proc.
import { readdirSync, readFileSync } from "node:fs";

/** The workerd processes that this one has started; none where there is no /proc. */
export function runtimeProcesses(): number[] {
  try {
    return readdirSync("/proc/self/task")
      .flatMap((task) => readFileSync(`/proc/self/task/${task}/children`, "utf8").split(" "))
      .map(Number)
      .filter((pid) => pid > 0 && isRuntime(pid));
  } catch {
    return [];
  }
}

function isRuntime(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8")
      .split("\0")
      .some((word) => word.endsWith("workerd"));
  } catch {
    return false;
  }
}

/** Resident memory of a process in bytes; NaN where the machine does not tell. */
export function residentBytes(pid: number): number {
  try {
    const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
    return Number(kib) * 1024;
  } catch {
    return Number.NaN;
  }
}
