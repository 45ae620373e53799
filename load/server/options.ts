// What a load server can be asked for, and how on a command line.
import { parseArgs } from "node:util";

export const WORKERS = ["postern", "hello", "pass-through", "sign-only", "hash-only"] as const;
export type WorkerName = (typeof WORKERS)[number];

export interface ServerOptions {
  /** Postern, or one of the baselines it is measured against. Default: postern. */
  worker?: WorkerName;
  /** Variables on top of those the server sets. */
  variables?: Record<string, string>;
  /** The origin: a Worker bound in the same process, or an HTTP server beside it. Default: binding. */
  origin?: "binding" | "tcp";
  /** Where databases and objects lie: memory (/dev/shm) or disk. Default: memory. */
  state?: "memory" | "disk";
  /** Users in the database. Default: none. */
  users?: number;
  /** Isolates that share database and objects. Default: 1. */
  edges?: number;
  /** Called with each line the Worker logs. Without it lines are dropped, but for errors. */
  onLog?: (line: string) => void;
  /** Where V8's inspector is to listen. */
  inspectorPort?: number;
}

function oneOf<const T extends string>(name: string, values: readonly T[], value: string): T {
  const found = values.find((candidate) => candidate === value);
  if (found === undefined) throw new Error(`--${name} must be one of ${values.join(", ")}`);
  return found;
}

function count(name: string, min: number, value: string): number {
  const parsed = Number(value);
  if (!/^\d+$/.test(value) || parsed < min) throw new Error(`--${name} must be a whole number from ${min}`);
  return parsed;
}

/** `NAME=VALUE` pairs as a record. */
export function readVariables(pairs: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const at = pair.indexOf("=");
      if (at < 1) throw new Error("--var must be NAME=VALUE");
      return [pair.slice(0, at), pair.slice(at + 1)];
    }),
  );
}

/** The options in a command line; throws with a sentence for the user. */
export function readServerFlags(args: readonly string[]): ServerOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      worker: { type: "string", default: "postern" },
      origin: { type: "string", default: "binding" },
      state: { type: "string", default: "memory" },
      users: { type: "string", default: "0" },
      edges: { type: "string", default: "1" },
      var: { type: "string", multiple: true, default: [] },
      "inspector-port": { type: "string" },
    },
  });
  const inspectorPort = values["inspector-port"];
  return {
    worker: oneOf("worker", WORKERS, values.worker),
    origin: oneOf("origin", ["binding", "tcp"], values.origin),
    state: oneOf("state", ["memory", "disk"], values.state),
    users: count("users", 0, values.users),
    edges: count("edges", 1, values.edges),
    variables: readVariables(values.var),
    ...(inspectorPort !== undefined && { inspectorPort: count("inspector-port", 0, inspectorPort) }),
  };
}
