// A run in a few lines for a terminal.
import { mebibytes, type Result } from "./result.ts";

const COLUMNS = ["phase", "operation", "count", "errors", "per s", "mean", "p50", "p95", "p99", "max ms"] as const;

function cell(value: number | null): string {
  return value === null ? "-" : String(value);
}

/** Every phase and operation of a run, as rows of text. */
export function rowsOf({ phases }: Pick<Result, "phases">): string[][] {
  return Object.entries(phases).flatMap(([phase, operations]) =>
    Object.entries(operations).map(([operation, o]) => [
      phase,
      operation,
      ...[o.count, o.errors, o.perSecond, o.meanMs, o.p50Ms, o.p95Ms, o.p99Ms, o.maxMs].map(cell),
    ]),
  );
}

function aligned(rows: readonly (readonly string[])[]): string[] {
  const widths = COLUMNS.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((text, column) => (column < 2 ? text.padEnd(widths[column] ?? 0) : text.padStart(widths[column] ?? 0)))
      .join("  ")
      .trimEnd(),
  );
}

/** The memory at the end of a step, in words; nothing where it is not known. */
function memoryAt(series: Result["series"], second: number): string {
  const bytes = series.findLast((one) => one.second <= second && one.rssBytes !== null)?.rssBytes ?? null;
  return bytes === null ? "" : `, ${mebibytes(bytes)} MiB`;
}

/** The lines about a run as a whole: memory, generator, search, faults, verdicts. */
export function remarksOf(result: Result): string[] {
  const { memory, generatorCpu, steps, series, faults, verdicts, isPassed } = result;
  const slope = memory?.slopeBytesPerMinute ?? null;
  return [
    ...(memory === null
      ? []
      : [
          `workerd memory: ${mebibytes(memory.firstBytes)} MiB at first, ${mebibytes(memory.peakBytes)} at most, ` +
            `${mebibytes(memory.lastBytes)} at last` +
            (slope === null ? "" : `, ${mebibytes(slope)} a minute`),
        ]),
    ...(generatorCpu === null ? [] : [`what made the load took ${Math.round(generatorCpu * 100)} % of a core`]),
    ...steps.map(
      ({ size, isHeld, summary, endedSecond }) =>
        `${size}: ${isHeld ? "holds" : "breaks"} (mean ${cell(summary?.meanMs ?? null)} ms, p99 ${cell(summary?.p99Ms ?? null)} ms${memoryAt(series, endedSecond)})`,
    ),
    ...faults.map((fault) => `fault: ${fault}`),
    ...verdicts.map(({ name, isHeld }) => `${isHeld ? "✓" : "✗"} ${name}`),
    isPassed ? "passed" : "FAILED",
  ];
}

export function renderTable(result: Result): string {
  return [...aligned([COLUMNS, ...rowsOf(result)]), "", ...remarksOf(result)].join("\n");
}
