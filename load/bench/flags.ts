// The command line of the bench.
import { parseArgs } from "node:util";
import { readVariables } from "../server/options.ts";

export const RATIOS = ["authorised", "refresh", "login"] as const;
export type RatioName = (typeof RATIOS)[number];

export interface BenchFlags {
  /** Rounds of Postern and baseline in turn; the median counts. */
  readonly rounds: number;
  /** How long each part of a round lasts. */
  readonly seconds: number;
  readonly only: readonly string[] | null;
  /** Where the results go as JSON; null: nowhere. */
  readonly json: string | null;
  /** For Postern, as in `--var LOG_REQUESTS=all`. */
  readonly variables: Readonly<Record<string, string>>;
  readonly origin: "binding" | "tcp";
  readonly isGrowth: boolean;
}

function positive(name: string, text: string): number {
  const value = Number(text);
  if (!(value > 0) || !Number.isFinite(value)) throw new Error(`--${name} must be a number above 0`);
  return value;
}

export function readBenchFlags(args: readonly string[]): BenchFlags {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      rounds: { type: "string", default: "5" },
      seconds: { type: "string", default: "2" },
      only: { type: "string" },
      json: { type: "string" },
      var: { type: "string", multiple: true, default: [] },
      origin: { type: "string", default: "binding" },
    },
  });
  if (values.origin !== "binding" && values.origin !== "tcp") throw new Error("--origin must be binding or tcp");
  const unknown = positionals.find((word) => word !== "growth");
  if (unknown !== undefined) throw new Error(`unknown: ${unknown}`);
  return {
    rounds: Math.ceil(positive("rounds", values.rounds)),
    seconds: positive("seconds", values.seconds),
    only: values.only?.split(",") ?? null,
    json: values.json ?? null,
    variables: readVariables(values.var),
    origin: values.origin,
    isGrowth: positionals.length > 0,
  };
}

/** Whether `--only` leaves `name` in. */
export function isWanted({ only }: Pick<BenchFlags, "only">, name: string): boolean {
  return only === null || only.includes(name);
}
