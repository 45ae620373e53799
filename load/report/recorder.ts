// Every answer of a run, by phase and operation and by second: what tables and curves are drawn from.
import { round } from "../bench/statistics.ts";
import { Histogram } from "../generator/histogram.ts";

export interface Summary {
  readonly count: number;
  readonly errors: number;
  readonly perSecond: number;
  readonly meanMs: number | null;
  readonly p50Ms: number | null;
  readonly p95Ms: number | null;
  readonly p99Ms: number | null;
  readonly p999Ms: number | null;
  readonly maxMs: number | null;
}

/** One second of a run. Latencies are null where nothing was answered. */
export interface Second {
  /** Since the start. */
  readonly second: number;
  readonly perSecond: number;
  readonly errors: number;
  readonly p50Ms: number | null;
  readonly p95Ms: number | null;
  readonly p99Ms: number | null;
  /** Of the workerd process. */
  readonly rssBytes: number | null;
}

/** Operations by name, within phases by name; `all` is every operation of the phase. */
export type Phases = Readonly<Record<string, Readonly<Record<string, Summary>>>>;

interface Cell {
  readonly histogram: Histogram;
  errors: number;
  firstMs: number;
  lastMs: number;
}

const MILLISECOND_DIGITS = 3;

function figure(value: number): number | null {
  return Number.isNaN(value) ? null : round(value, MILLISECOND_DIGITS);
}

function newCell(): Cell {
  return { histogram: new Histogram(), errors: 0, firstMs: Number.POSITIVE_INFINITY, lastMs: 0 };
}

function add(cell: Cell, atMs: number, latencyMs: number, isError: boolean): void {
  cell.histogram.record(latencyMs);
  if (isError) cell.errors += 1;
  cell.firstMs = Math.min(cell.firstMs, atMs);
  cell.lastMs = Math.max(cell.lastMs, atMs);
}

function summarise({ histogram, errors, firstMs, lastMs }: Cell): Summary {
  // A single answer has no rate; a second is the least that anything is called a rate over.
  const seconds = Math.max(1, (lastMs - firstMs) / 1000);
  return {
    count: histogram.count,
    errors,
    perSecond: round(histogram.count / seconds, 1),
    meanMs: figure(histogram.meanMs),
    p50Ms: figure(histogram.quantileMs(0.5)),
    p95Ms: figure(histogram.quantileMs(0.95)),
    p99Ms: figure(histogram.quantileMs(0.99)),
    p999Ms: figure(histogram.quantileMs(0.999)),
    maxMs: figure(histogram.maxMs),
  };
}

export class Recorder {
  readonly #phases = new Map<string, Map<string, Cell>>();
  readonly #seconds = new Map<number, Cell>();

  /**
   * @param endedMs when the answer was there, milliseconds since the start
   * @param latencyMs from when the request was meant to be sent
   */
  record(phase: string, operation: string, endedMs: number, latencyMs: number, isError: boolean): void {
    for (const name of [operation, "all"]) {
      const cells = this.#phases.get(phase) ?? new Map<string, Cell>();
      this.#phases.set(phase, cells);
      const cell = cells.get(name) ?? newCell();
      cells.set(name, cell);
      add(cell, endedMs, latencyMs, isError);
    }
    const second = Math.max(0, Math.floor(endedMs / 1000));
    const cell = this.#seconds.get(second) ?? newCell();
    this.#seconds.set(second, cell);
    add(cell, endedMs, latencyMs, isError);
  }

  phase(name: string): Readonly<Record<string, Summary>> {
    const cells = [...(this.#phases.get(name) ?? [])].toSorted(([a], [b]) => a.localeCompare(b));
    return Object.fromEntries(cells.map(([operation, cell]) => [operation, summarise(cell)]));
  }

  phases(): Phases {
    return Object.fromEntries([...this.#phases.keys()].map((name) => [name, this.phase(name)]));
  }

  seconds(): Second[] {
    const last = Math.max(-1, ...this.#seconds.keys());
    return Array.from({ length: last + 1 }, (_, second) => {
      const { histogram, errors } = this.#seconds.get(second) ?? newCell();
      return {
        second,
        perSecond: histogram.count,
        errors,
        p50Ms: figure(histogram.quantileMs(0.5)),
        p95Ms: figure(histogram.quantileMs(0.95)),
        p99Ms: figure(histogram.quantileMs(0.99)),
        rssBytes: null,
      };
    });
  }
}
