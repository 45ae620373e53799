// The command line of `npm run load`.
import { parseArgs } from "node:util";
import { PRESETS, type PresetName, presetNamed } from "../scenarios/presets.ts";
import { readVariables } from "../server/options.ts";

export interface LoadFlags {
  readonly preset: PresetName;
  readonly engine: "k6" | "generator";
  readonly users: number;
  readonly seconds: number;
  /** Null where the preset drives none. */
  readonly rate: number | null;
  readonly thinkSeconds: number | null;
  /** Arrivals per second of users-10k. */
  readonly ramp: number;
  readonly find: "users" | "logins" | null;
  readonly step: number;
  readonly variables: Readonly<Record<string, string>>;
  readonly origin: "binding" | "tcp";
  readonly edges: number;
  /** Where results go; null: load/results. */
  readonly out: string | null;
}

const DEFAULT_RAMP = 100;
const DEFAULT_STEP = { users: 1000, logins: 5 } as const;
const MINUTE_SECONDS = 60;

function positive(name: string, text: string | undefined): number | null {
  if (text === undefined) return null;
  const value = Number(text);
  if (!(value > 0) || !Number.isFinite(value)) throw new Error(`${name} must be a number above 0`);
  return value;
}

function choice<const T extends string>(name: string, values: readonly T[], text: string | undefined): T | null {
  if (text === undefined) return null;
  const found = values.find((value) => value === text);
  if (found === undefined) throw new Error(`--${name} must be one of ${values.join(", ")}`);
  return found;
}

/** The flags, with the preset's values where none are given; throws with a sentence for the user. */
export function readLoadFlags(
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): LoadFlags {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      engine: { type: "string" },
      users: { type: "string" },
      seconds: { type: "string" },
      rate: { type: "string" },
      think: { type: "string" },
      ramp: { type: "string" },
      find: { type: "string" },
      step: { type: "string" },
      var: { type: "string", multiple: true, default: [] },
      origin: { type: "string" },
      edges: { type: "string" },
      out: { type: "string" },
    },
  });
  const [word, surplus] = positionals;
  if (surplus !== undefined) throw new Error(`one preset at a time, not also ${surplus}`);
  const name = presetNamed(word ?? environment["PRESET"]);
  const preset = PRESETS[name];
  const isCrowd = name === "users-10k";
  const engine = choice("engine", ["k6", "generator"], values.engine) ?? (isCrowd ? "generator" : "k6");
  const find = choice("find", ["users", "logins"], values.find);
  if (engine === "generator" && !isCrowd) throw new Error("--engine generator plays users-10k only");
  if (find !== null && engine !== "generator") throw new Error("--find is for users-10k and the generator");
  const soakMinutes = name === "soak" ? positive("SOAK_MINUTES", environment["SOAK_MINUTES"]) : null;
  return {
    preset: name,
    engine,
    users: Math.ceil(positive("--users", values.users) ?? preset.users),
    seconds:
      positive("--seconds", values.seconds) ?? (soakMinutes === null ? preset.seconds : soakMinutes * MINUTE_SECONDS),
    rate: positive("--rate", values.rate) ?? preset.rate ?? null,
    thinkSeconds: positive("--think", values.think) ?? preset.thinkSeconds ?? null,
    ramp: positive("--ramp", values.ramp) ?? DEFAULT_RAMP,
    find,
    step: positive("--step", values.step) ?? DEFAULT_STEP[find ?? "users"],
    variables: { ...preset.variables, ...readVariables(values.var) },
    origin: choice("origin", ["binding", "tcp"], values.origin) ?? "binding",
    edges: Math.ceil(positive("--edges", values.edges) ?? 1),
    out: values.out ?? null,
  };
}
