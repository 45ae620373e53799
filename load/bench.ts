// `npm run bench`: how much of a bare Worker's speed Postern keeps, and what each operation costs in calls. Ratios of one
// run on one machine, since figures of two machines, or of two hours on one, cannot be compared.
//
//   npm run bench -- --rounds 5 --seconds 2 --only authorised,refresh,login,counts --json results.json
//   npm run bench -- growth [--only users,families,counters,memory]
//
// An answer other than the expected one, or an operation over its budget of calls, ends it with exit status 1.
import { writeFile } from "node:fs/promises";
import { BUDGET, COSTS, type Counts, measureCounts, overBudget } from "./bench/counts.ts";
import { type BenchFlags, isWanted, readBenchFlags } from "./bench/flags.ts";
import { measureGrowth } from "./bench/growth.ts";
import { describeMachine, type Machine, machineLine } from "./bench/machine.ts";
import { type Latency, measureRatios } from "./bench/ratios.ts";

export interface BenchResult {
  readonly machine: Machine;
  /** Throughput over the baseline's. */
  readonly ratios: Readonly<Record<string, number>>;
  readonly latency_ms: Readonly<Record<string, Latency>>;
  readonly per_second: Readonly<Record<string, { readonly postern: number; readonly baseline: number }>>;
  readonly counts: Readonly<Record<string, Counts>>;
}

/** Runs what `flags` ask for. Throws when an answer is wrong or a budget is exceeded. */
export async function bench(flags: BenchFlags): Promise<BenchResult> {
  const comparisons = await measureRatios(flags);
  const counts = isWanted(flags, "counts") ? await measureCounts() : null;
  const entries = Object.entries(comparisons);
  const result = {
    machine: describeMachine(),
    ratios: Object.fromEntries(entries.map(([name, { ratio }]) => [name, ratio])),
    latency_ms: Object.fromEntries(entries.map(([name, { latency }]) => [name, latency])),
    per_second: Object.fromEntries(
      entries.map(([name, { perSecond: postern, baselinePerSecond: baseline }]) => [name, { postern, baseline }]),
    ),
    counts: counts ?? {},
  };
  if (flags.json !== null) await writeFile(flags.json, `${JSON.stringify(result, null, 2)}\n`);
  const faults = counts === null ? [] : overBudget(counts);
  if (faults.length > 0) throw new Error(`over budget: ${faults.join("; ")}`);
  return result;
}

function print({ ratios, latency_ms: latencies, per_second: speeds, counts }: BenchResult): void {
  for (const [name, ratio] of Object.entries(ratios)) {
    const { postern, baseline } = speeds[name] ?? { postern: Number.NaN, baseline: Number.NaN };
    const latency = latencies[name];
    console.log(
      `${name.padEnd(21)} ${ratio.toFixed(3)} of the baseline (${postern}/s against ${baseline}/s), ` +
        `p50 ${latency?.p50Ms} ms (${latency?.addedP50Ms} ms more)`,
    );
  }
  for (const [operation, measured] of Object.entries(counts)) {
    const budget: Counts | undefined = Object.entries(BUDGET).find(([name]) => name === operation)?.[1];
    console.log(
      `${operation.padEnd(21)} ${COSTS.map((cost) => `${cost} ${measured[cost]}/${budget?.[cost]}`).join("  ")}`,
    );
  }
}

if (import.meta.main) {
  // So that what removes processes and files at exit is run.
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));
  const flags = readBenchFlags(process.argv.slice(2));
  console.log(machineLine(describeMachine()));
  if (flags.isGrowth) {
    const growth = { machine: describeMachine(), ...(await measureGrowth(flags)) };
    if (flags.json !== null) await writeFile(flags.json, `${JSON.stringify(growth, null, 2)}\n`);
  } else {
    print(await bench(flags));
  }
}
