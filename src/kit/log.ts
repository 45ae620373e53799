/**
 * Structured log lines, one JSON object each. The type is the guard: an entry has the fields below and no others, so a
 * token, secret, header or body cannot be logged without changing this file.
 */
import type { Dependency } from "./failure.ts";

export type LogEntry =
  | { readonly event: "config.invalid"; readonly variable: string; readonly fault: string }
  | { readonly event: "request.bug"; readonly requestId: string; readonly error: string }
  | { readonly event: "origin.failed"; readonly requestId: string; readonly error: string }
  | { readonly event: "audit.dropped"; readonly count: number }
  | { readonly event: "dependency.failed"; readonly dependency: Dependency; readonly error: string };

export function log(entry: LogEntry): void {
  console.error(JSON.stringify(entry));
}

/** The class and message of anything thrown. */
export function describe(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : "a value that is not an Error was thrown";
}
