/**
 * D1 with the two manners every caller needs: an outage is a failure and not an exception, and the errors that D1
 * documents as transient are tried again. Only for reads and idempotent writes.
 */
import { describe, log } from "./log.ts";
import { count } from "./meter.ts";
import { fail, ok, type Result } from "./result.ts";
import type { Runtime } from "./runtime.ts";

/** Messages that Cloudflare documents as safe to retry ("Rules of D1"). */
const TRANSIENT = [
  "Network connection lost",
  "storage caused object to be reset",
  "reset because its code was updated",
  "Cannot resolve D1 DB due to transient issue",
];
const ATTEMPTS = 3;
const FIRST_PAUSE_MS = 50;

function isTransient(error: unknown): boolean {
  return error instanceof Error && TRANSIENT.some((message) => error.message.includes(message));
}

/** Runs `operation`, again after a short pause if D1 asks for it. Fails with `dependency_unavailable`. */
export async function onDatabase<T>(runtime: Runtime, operation: () => Promise<T>): Promise<Result<T>> {
  for (let attempt = 1; ; attempt++) {
    try {
      count("d1");
      return ok(await operation());
    } catch (error) {
      if (attempt < ATTEMPTS && isTransient(error)) {
        const [jitter = 0] = runtime.randomBytes(1);
        await runtime.sleep(FIRST_PAUSE_MS * attempt + (jitter % FIRST_PAUSE_MS));
        continue;
      }
      log({ event: "dependency.failed", dependency: "database", error: describe(error) });
      return fail({ code: "dependency_unavailable", dependency: "database" });
    }
  }
}
