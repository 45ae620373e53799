/**
 * Structured log lines, one JSON object each. The type is the guard: an entry has the fields below and no others, so a
 * token, secret, header or body cannot be logged without changing this file.
 */
import type { Dependency, FailureCode } from "./failure.ts";
import type { Cost } from "./meter.ts";

/** One request as it was answered. Of its URL nothing but the pattern that matched: a path may name people. */
export interface RequestEntry extends Readonly<Record<Cost, number>> {
  readonly event: "request";
  readonly requestId: string;
  readonly method: string;
  /** Null: nothing matched. */
  readonly route: string | null;
  readonly status: number;
  /** Who made it, once that was known. */
  readonly userId: string | null;
  /** Milliseconds to the head of the response. */
  readonly ms: number;
  /** Why Postern refused it; absent where the answer is the origin's own. */
  readonly code?: FailureCode;
}

export type LogEntry =
  | RequestEntry
  | { readonly event: "config.invalid"; readonly variable: string; readonly fault: string }
  | { readonly event: "request.bug"; readonly requestId: string; readonly error: string }
  | { readonly event: "origin.failed"; readonly requestId: string; readonly error: string }
  | { readonly event: "audit.dropped"; readonly count: number }
  | { readonly event: "dependency.failed"; readonly dependency: Dependency; readonly error: string };

export function log(entry: LogEntry): void {
  const line = JSON.stringify(entry);
  if (entry.event === "request") console.log(line);
  else console.error(line);
}

/** The class and message of anything thrown. */
export function describe(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : "a value that is not an Error was thrown";
}
