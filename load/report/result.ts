// What a run leaves in load/results, whichever program made the load.
import type { Machine } from "../bench/machine.ts";
import { round } from "../bench/statistics.ts";
import type { Step } from "../generator/crowd.ts";
import { SOAK_JUDGED_FROM_SECONDS } from "../scenarios/presets.ts";
import type { Phases, Second } from "./recorder.ts";

export interface Verdict {
  /** What must hold, as in `http_req_failed rate==0`. */
  readonly name: string;
  readonly isHeld: boolean;
}

export interface Memory {
  readonly firstBytes: number;
  readonly peakBytes: number;
  readonly lastBytes: number;
  /** Of a straight line through the samples after the first quarter; null of a run under two minutes. */
  readonly slopeBytesPerMinute: number | null;
}

export interface Result {
  readonly preset: string;
  readonly engine: "k6" | "generator";
  /** RFC 3339. */
  readonly startedAt: string;
  readonly machine: Machine;
  readonly parameters: Readonly<Record<string, string | number>>;
  /** Of the Worker, those that differ from the load server's. */
  readonly variables: Readonly<Record<string, string>>;
  readonly phases: Phases;
  readonly series: readonly Second[];
  /** Of a search: the sizes tried. */
  readonly steps: readonly Step[];
  /** Resident memory of workerd; null where the machine does not tell. */
  readonly memory: Memory | null;
  /** Of one core, what made the load; null where unknown. */
  readonly generatorCpu: number | null;
  readonly faults: readonly string[];
  readonly verdicts: readonly Verdict[];
  readonly isPassed: boolean;
}

export interface Sample {
  /** Seconds since the start. */
  readonly second: number;
  readonly bytes: number;
}

/** In less, starting up is most of what is seen. */
const SLOPE_FROM_SECONDS = 120;

/** The slope of the least-squares line, bytes per minute; null of fewer than three samples. */
export function slopePerMinute(samples: readonly Sample[]): number | null {
  if (samples.length < 3) return null;
  const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
  const meanSecond = mean(samples.map(({ second }) => second));
  const meanBytes = mean(samples.map(({ bytes }) => bytes));
  let covariance = 0;
  let variance = 0;
  for (const { second, bytes } of samples) {
    covariance += (second - meanSecond) * (bytes - meanBytes);
    variance += (second - meanSecond) ** 2;
  }
  return variance === 0 ? null : Math.round((covariance / variance) * 60);
}

export function memoryOf(samples: readonly Sample[]): Memory | null {
  const known = samples.filter(({ bytes }) => Number.isFinite(bytes));
  const first = known.at(0);
  const last = known.at(-1);
  if (first === undefined || last === undefined) return null;
  const lasted = last.second - first.second;
  const warmUpEnds = first.second + lasted / 4;
  return {
    firstBytes: first.bytes,
    peakBytes: Math.max(...known.map(({ bytes }) => bytes)),
    lastBytes: last.bytes,
    slopeBytesPerMinute:
      lasted < SLOPE_FROM_SECONDS ? null : slopePerMinute(known.filter(({ second }) => second >= warmUpEnds)),
  };
}

/** Whether memory is flat; null when the run was too short to tell. */
export function isFlat(samples: readonly Sample[], limitPerMinute: number): boolean | null {
  const lasted = (samples.at(-1)?.second ?? 0) - (samples.at(0)?.second ?? 0);
  const slope = memoryOf(samples)?.slopeBytesPerMinute ?? null;
  return lasted < SOAK_JUDGED_FROM_SECONDS || slope === null ? null : slope <= limitPerMinute;
}

/** Puts each second's memory beside its latencies. */
export function withMemory(series: readonly Second[], samples: readonly Sample[]): Second[] {
  const bytes = new Map(samples.map((sample) => [Math.floor(sample.second), sample.bytes]));
  return series.map((second) => ({ ...second, rssBytes: finite(bytes.get(second.second)) }));
}

function finite(value: number | undefined): number | null {
  return value === undefined || !Number.isFinite(value) ? null : value;
}

export function mebibytes(bytes: number): number {
  return round(bytes / 2 ** 20, 1);
}
