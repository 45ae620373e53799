/**
 * The command line of `npm run dev`. It is wrangler's; read here is only what the preparation depends on. Not a parser
 * of wrangler's flags: what it does not know it hands on as it came.
 */
import { parseArgs } from "node:util";

export interface DevFlags {
  readonly host: string;
  /** 0 is any free one. */
  readonly port: number;
  /** Where the debugger listens; 0 is any free port, since two of these with a fixed one would not start together. */
  readonly inspectorPort: number;
  /** Where the local data lies; null is the usual place. */
  readonly persistTo: string | null;
  /** Variables given by `--var`. */
  readonly variables: ReadonlyMap<string, string>;
  /** Everything for wrangler but the first four, of which it takes no second. */
  readonly rest: readonly string[];
}

/** Flags that are read here and given to wrangler anew. */
const TAKEN = ["ip", "port", "inspector-port", "persist-to"];

const DEFAULT_HOST = "127.0.0.1";
const DEFAULT_PORT = "8787";
const PORT_MAX = 65_535;

function portOf(flag: string, text: string): number {
  const port = Number(text);
  if (!Number.isInteger(port) || port < 0 || port > PORT_MAX) throw new Error(`--${flag} ${text}: not a port number`);
  return port;
}

function variableOf(assignment: string): [name: string, value: string] {
  const [name = "", ...value] = assignment.split(":");
  return [name, value.join(":")];
}

/** Reads what matters here from `args`. Throws when a port is none. */
export function readFlags(args: readonly string[]): DevFlags {
  const { tokens } = parseArgs({
    args: [...args],
    options: {
      ...Object.fromEntries(TAKEN.map((name) => [name, { type: "string" as const }])),
      var: { type: "string" },
    },
    strict: false,
    tokens: true,
  });

  const taken = new Map<string, string>();
  const takenAt = new Set<number>();
  const assignments: string[] = [];
  let option = "";
  for (const token of tokens) {
    // `--var A:1 B:2` is two variables.
    if (token.kind === "positional" && option === "var") assignments.push(token.value);
    if (token.kind !== "option") continue;
    option = token.name;
    if (token.value === undefined) continue;
    if (option === "var") assignments.push(token.value);
    if (TAKEN.includes(option)) {
      taken.set(option, token.value);
      takenAt.add(token.index);
      if (!token.inlineValue) takenAt.add(token.index + 1);
    }
  }

  return {
    host: taken.get("ip") ?? DEFAULT_HOST,
    port: portOf("port", taken.get("port") ?? DEFAULT_PORT),
    inspectorPort: portOf("inspector-port", taken.get("inspector-port") ?? "0"),
    persistTo: taken.get("persist-to") ?? null,
    variables: new Map(assignments.map(variableOf)),
    rest: args.filter((_, at) => !takenAt.has(at)),
  };
}
