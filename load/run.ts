// `npm run load -- PRESET`: starts Postern on workerd, puts one of the presets' load on it, and writes what came of it to
// load/results as JSON and HTML. Nothing leaves this machine. Exit status 1 when a threshold did not hold.
//
//   npm run load -- mixed --users 200 --seconds 60
//   npm run load -- users-10k --ramp 15 --find users
//
// load/README.md has the presets and what each proves.
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describeMachine, machineLine } from "./bench/machine.ts";
import { isWithinPromise, type Plan } from "./generator/crowd.ts";
import type { Outcome } from "./generator/main.ts";
import { type LoadFlags, readLoadFlags } from "./report/flags.ts";
import { renderHtml } from "./report/html.ts";
import { findK6, K6_MISSING, readSamples, readVerdicts, runK6 } from "./report/k6.ts";
import { Recorder } from "./report/recorder.ts";
import { isFlat, memoryOf, type Result, type Sample, type Verdict, withMemory } from "./report/result.ts";
import { renderTable } from "./report/table.ts";
import { PRESETS, PROMISE, SOAK_SLOPE_BYTES_PER_MINUTE } from "./scenarios/presets.ts";
import { type Server, startServer } from "./server.ts";

const SAMPLE_EVERY_MS = 1000;
/** The scripts name users beyond those that work: the owner of an account under attack. */
const SPARE_USERS = 10;

type Measured = Pick<Result, "phases" | "series" | "steps" | "faults" | "generatorCpu"> & { verdicts: Verdict[] };

/** Samples the server's memory every second until the returned function is called. */
function watchMemory(server: Server, startedAt: number): { samples: Sample[]; stop(): void } {
  const samples: Sample[] = [];
  const sample = (): void => {
    samples.push({ second: (Date.now() - startedAt) / 1000, bytes: server.rssBytes() });
  };
  sample();
  const timer = setInterval(sample, SAMPLE_EVERY_MS);
  return { samples, stop: () => clearInterval(timer) };
}

async function loadByK6(path: string, flags: LoadFlags, server: Server, startedAt: number): Promise<Measured> {
  const folder = mkdtempSync(join(tmpdir(), "postern-k6-"));
  const [csv, summary] = [join(folder, "samples.csv"), join(folder, "summary.json")];
  try {
    const { status, cpu: generatorCpu } = await runK6(path, {
      script: join(import.meta.dirname, "scenarios", `${flags.preset}.ts`),
      csv,
      environment: {
        BASE_URL: server.url.origin,
        PASSWORD: server.users.password,
        SUMMARY: summary,
        STARTED_AT: String(startedAt),
        USERS: String(flags.users),
        SECONDS: String(flags.seconds),
        RAMP: String(flags.ramp),
        ...(flags.rate !== null && { RATE: String(flags.rate) }),
        ...(flags.thinkSeconds !== null && { THINK_SECONDS: String(flags.thinkSeconds) }),
      },
    });
    const recorder = new Recorder();
    await readSamples(csv, startedAt, recorder);
    const verdicts = readVerdicts(JSON.parse(readFileSync(summary, "utf8")));
    // 99 says that a threshold did not hold, which the verdicts say too.
    const faults = status === 0 || status === 99 ? [] : [`k6 ended with exit status ${status}`];
    return { phases: recorder.phases(), series: recorder.seconds(), steps: [], faults, generatorCpu, verdicts };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Runs the generator to its end. */
function generate(plan: Plan): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [join(import.meta.dirname, "generator/main.ts"), JSON.stringify(plan)], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let text = "";
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
    });
    const stop = (): void => void child.kill();
    process.once("exit", stop);
    child.once("error", reject);
    child.once("close", (code) => {
      process.off("exit", stop);
      if (code === 0) resolve(JSON.parse(text) as Outcome);
      else reject(new Error(`the generator ended with exit status ${code}`));
    });
  });
}

function promiseVerdicts({ phases, loggedIn }: Outcome, users: number): Verdict[] {
  return [
    { name: `${users} users are logged in`, isHeld: loggedIn === users },
    {
      name: `all logged in: mean <= ${PROMISE.meanMs} ms, p99 <= ${PROMISE.p99Ms} ms, no error`,
      isHeld: isWithinPromise(phases["steady"]?.["all"]),
    },
    {
      name: "on the way there: no error",
      isHeld: Object.values(phases["ramp"] ?? {}).every(({ errors }) => errors === 0),
    },
  ];
}

async function loadByGenerator(flags: LoadFlags, server: Server): Promise<Measured> {
  const { users, ramp, seconds, find, step } = flags;
  const plan = { users, ramp, seconds, find, step, thinkSeconds: flags.thinkSeconds ?? 1 };
  const outcome = await generate({ ...plan, url: server.url.href, password: server.users.password });
  const { phases, series, steps, faults, generatorCpu } = outcome;
  const verdicts =
    find === null
      ? promiseVerdicts(outcome, users)
      : [{ name: "the promise holds at the first step", isHeld: steps[0]?.isHeld === true }];
  return { phases, series, steps, faults, generatorCpu, verdicts };
}

function memoryVerdicts(flags: LoadFlags, samples: readonly Sample[]): Verdict[] {
  if (flags.preset === "users-10k" && flags.find === null) {
    const peak = memoryOf(samples)?.peakBytes ?? null;
    const name = `workerd memory <= ${PROMISE.rssBytes / 1e6} MB`;
    return peak === null ? [] : [{ name, isHeld: peak <= PROMISE.rssBytes }];
  }
  if (flags.preset !== "soak") return [];
  const flat = isFlat(samples, SOAK_SLOPE_BYTES_PER_MINUTE);
  const name = `workerd memory grows by at most ${SOAK_SLOPE_BYTES_PER_MINUTE / 2 ** 20} MiB a minute`;
  return flat === null ? [] : [{ name, isHeld: flat }];
}

function parametersOf({ users, seconds, rate, thinkSeconds, ramp, find, origin, edges, preset }: LoadFlags) {
  return {
    users,
    seconds,
    ...(rate !== null && { rate }),
    ...(thinkSeconds !== null && { thinkSeconds }),
    ...(preset === "users-10k" && { ramp }),
    ...(find !== null && { find }),
    origin,
    edges,
  };
}

/** Runs a preset. `k6` is its path; null for the generator. */
export async function runLoad(flags: LoadFlags, k6: string | null): Promise<Result> {
  const server = await startServer({
    users: flags.users + SPARE_USERS,
    variables: { ...flags.variables },
    origin: flags.origin,
    edges: flags.edges,
  });
  const startedAt = Date.now();
  const memory = watchMemory(server, startedAt);
  try {
    const measured = k6 === null ? await loadByGenerator(flags, server) : await loadByK6(k6, flags, server, startedAt);
    const verdicts = [...measured.verdicts, ...memoryVerdicts(flags, memory.samples)];
    const hasFault = k6 !== null && measured.faults.length > 0;
    return {
      preset: flags.preset,
      engine: k6 === null ? "generator" : "k6",
      startedAt: new Date(startedAt).toISOString(),
      machine: describeMachine(),
      parameters: parametersOf(flags),
      variables: flags.variables,
      ...measured,
      series: withMemory(measured.series, memory.samples),
      memory: memoryOf(memory.samples),
      verdicts,
      isPassed: !hasFault && verdicts.length > 0 && verdicts.every(({ isHeld }) => isHeld),
    };
  } finally {
    memory.stop();
    await server.stop();
  }
}

/** Writes a result as JSON and HTML; returns the paths. */
export function writeResult(result: Result, folder: string): { json: string; html: string } {
  mkdirSync(folder, { recursive: true });
  const time = result.startedAt.replaceAll(/[-:]|\.\d+/g, "");
  const base = join(folder, `${time}-${result.preset}`);
  writeFileSync(`${base}.json`, `${JSON.stringify(result, null, 2)}\n`);
  writeFileSync(`${base}.html`, renderHtml(result));
  return { json: `${base}.json`, html: `${base}.html` };
}

async function main(): Promise<number> {
  // So that what removes processes and files at exit is run.
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));
  const flags = readLoadFlags(process.argv.slice(2), process.env);
  const k6 = flags.engine === "k6" ? findK6(process.env) : null;
  if (flags.engine === "k6" && k6 === null) {
    console.error(K6_MISSING);
    return 1;
  }
  console.log(`${flags.preset}: ${PRESETS[flags.preset].proves}`);
  console.log(machineLine(describeMachine()));
  const result = await runLoad(flags, k6);
  const { json, html } = writeResult(result, flags.out ?? join(import.meta.dirname, "results"));
  console.log(`\n${renderTable(result)}\n\n${json}\n${html}`);
  return result.isPassed ? 0 : 1;
}

if (import.meta.main) {
  try {
    process.exit(await main());
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exit(1);
  }
}
