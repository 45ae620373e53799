/**
 * Lets concurrent callers share one run of an asynchronous task. The run is kept alive by the runtime: it belongs to all
 * of them, and must not die with the client of the request that happened to start it.
 */
import type { Runtime } from "./runtime.ts";

/** Returns a function that joins the run under way, or starts one. */
export function singleFlight<T>(runtime: Runtime, task: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | undefined;
  return () => {
    if (running === undefined) {
      const run = task().finally(() => {
        running = undefined;
      });
      running = run;
      runtime.waitUntil(run.catch(() => undefined));
    }
    return running;
  };
}
