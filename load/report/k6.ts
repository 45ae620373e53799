// k6 as a program: where it is, how it is called so that nothing leaves this machine, and what it leaves behind.
import { spawn } from "node:child_process";
import { accessSync, constants, createReadStream, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import { createInterface } from "node:readline";
import type { Recorder } from "./recorder.ts";
import type { Verdict } from "./result.ts";

/** How to get k6, for whom it is missing. */
export const K6_MISSING = `k6 is not there. It is one program, built from its Go module:

  go install go.k6.io/k6@latest

It is looked for in $K6, in PATH, in $GOBIN and in ~/go/bin. The preset users-10k runs without it.`;

type Environment = Readonly<Record<string, string | undefined>>;

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** The path of k6, or null. */
export function findK6(environment: Environment, isThere: (path: string) => boolean = isExecutable): string | null {
  const folders = [
    ...(environment["PATH"] ?? "").split(delimiter),
    environment["GOBIN"] ?? "",
    join(environment["GOPATH"] ?? join(homedir(), "go"), "bin"),
  ];
  const paths = folders.filter((folder) => folder !== "").map((folder) => join(folder, "k6"));
  return [environment["K6"] ?? "", ...paths].find((path) => path !== "" && isThere(path)) ?? null;
}

export interface K6Run {
  readonly script: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Where the samples go. */
  readonly csv: string;
}

/** k6's arguments: no usage report, no API socket, no look-up of extensions or versions. */
export function k6Arguments({ script, environment, csv }: K6Run): string[] {
  const variables = Object.entries(environment).flatMap(([name, value]) => ["--env", `${name}=${value}`]);
  return ["run", "--quiet", "--no-usage-report", "--address=", "--out", `csv=${csv}`, ...variables, script];
}

const CPU_SAMPLE_MS = 1000;
/** Linux counts processor time in hundredths of a second. */
const TICK_MS = 10;

/** Processor time that a process has taken so far, milliseconds; null where there is no /proc. */
function cpuMs(pid: number | undefined): number | null {
  try {
    // The name, in brackets, may hold spaces: counting starts behind it. See proc_pid_stat(5): utime and stime.
    const fields = readFileSync(`/proc/${pid}/stat`, "latin1").split(") ").at(-1)?.split(" ") ?? [];
    return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
  } catch {
    return null;
  }
}

export interface K6Ended {
  /** 99 when a threshold did not hold. */
  readonly status: number;
  /** Of one core; null where unknown. */
  readonly cpu: number | null;
}

/** Runs k6 to its end. */
export function runK6(path: string, run: K6Run): Promise<K6Ended> {
  return new Promise((resolve, reject) => {
    const startedAt = performance.now();
    let cpu: number | null = null;
    const child = spawn(path, k6Arguments(run), {
      stdio: ["ignore", "ignore", "inherit"],
      env: {
        ...process.env,
        K6_NO_USAGE_REPORT: "true",
        K6_AUTO_EXTENSION_RESOLUTION: "false",
        K6_CSV_TIME_FORMAT: "unix_micro",
        NO_COLOR: "1",
      },
    });
    const timer = setInterval(() => {
      const taken = cpuMs(child.pid);
      if (taken !== null) cpu = taken / (performance.now() - startedAt);
    }, CPU_SAMPLE_MS);
    const stop = (): void => void child.kill("SIGINT");
    process.once("SIGINT", stop);
    process.once("SIGTERM", stop);
    child.once("error", reject);
    child.once("close", (code) => {
      clearInterval(timer);
      process.off("SIGINT", stop);
      process.off("SIGTERM", stop);
      resolve({ status: code ?? 1, cpu });
    });
  });
}

/** The fields of a line of CSV; k6 quotes a field that holds a comma. */
export function csvFields(line: string): string[] {
  if (!line.includes('"')) return line.split(",");
  const fields = line.match(/(?<=^|,)(?:"(?:[^"]|"")*"|[^,]*)/g) ?? [];
  return fields.map((field) => (field.startsWith('"') ? field.slice(1, -1).replaceAll('""', '"') : field));
}

/** A tag among k6's extra tags, `a=b&c=d`. */
function extraTag(extra: string, name: string): string | undefined {
  return extra
    .split("&")
    .find((pair) => pair.startsWith(`${name}=`))
    ?.slice(name.length + 1);
}

/** Reads the duration of every request that k6 wrote down. `startedAt` in milliseconds since 1970. */
export async function readSamples(csv: string, startedAt: number, recorder: Recorder): Promise<void> {
  let columns: Readonly<Record<string, number>> | null = null;
  for await (const line of createInterface({ input: createReadStream(csv), crlfDelay: Infinity })) {
    if (columns === null) {
      columns = Object.fromEntries(csvFields(line).map((name, i) => [name, i]));
    } else if (line.startsWith("http_req_duration,")) {
      const fields = csvFields(line);
      const at = (name: string): string => fields[columns?.[name] ?? -1] ?? "";
      const phase = extraTag(at("extra_tags"), "phase") ?? at("scenario");
      const isError = at("expected_response") === "false";
      const endedMs = Number(at("timestamp")) / 1000 - startedAt;
      recorder.record(phase === "" ? "setup" : phase, at("name"), endedMs, Number(at("metric_value")), isError);
    }
  }
}

/** The thresholds in what `handleSummary` left, and whether each held. */
export function readVerdicts(summary: unknown): Verdict[] {
  const metrics = Object.entries(summary as Record<string, { thresholds?: Record<string, { ok: boolean }> }>);
  return metrics.flatMap(([metric, { thresholds = {} }]) =>
    Object.entries(thresholds).map(([expression, { ok }]) => ({ name: `${metric} ${expression}`, isHeld: ok })),
  );
}
