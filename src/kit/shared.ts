/**
 * Work that several requests share. A pending promise belongs to the request that made it: whoever else awaits it is
 * resumed inside that request, where its own I/O fails. So each one that waits gets a promise of its own, which the
 * runtime resolves in the right place, and a timer, in case the request that does the work dies.
 */
import type { Runtime } from "./runtime.ts";

/** How long one request relies on the work of another before it does the work itself. */
const PATIENCE_MS = 3_000;

export interface Shared<T> {
  /** The result, once there is one. */
  readonly result: T | undefined;
  /** The result for a request that did not start the work; null when it failed or takes too long. */
  wait(): Promise<T | null>;
}

/** Lets other requests wait for `work`, which the current one has started and itself awaits. */
export function share<T>(work: Promise<T>, runtime: Runtime): Shared<T> {
  let result: T | undefined;
  let hasFailed = false;
  const waiting: ((result: T | null) => void)[] = [];
  const settle = (outcome: T | null): void => {
    for (const resolve of waiting.splice(0)) resolve(outcome);
  };
  const watch = async (): Promise<void> => {
    try {
      result = await work;
      settle(result);
    } catch {
      hasFailed = true;
      settle(null);
    }
  };
  // It goes on for the others if this request's client goes away.
  runtime.waitUntil(watch());
  return {
    get result() {
      return result;
    },
    async wait() {
      if (result !== undefined) return result;
      if (hasFailed) return null;
      const outcome = new Promise<T | null>((resolve) => waiting.push(resolve));
      return Promise.race([outcome, runtime.sleep(PATIENCE_MS).then(() => null)]);
    },
  };
}

/** Returns a function that joins the run of `task` under way, or starts one. */
export function singleFlight<T>(runtime: Runtime, task: () => Promise<T>): () => Promise<T> {
  let running: Shared<T> | undefined;
  return async () => {
    // Asked without a pause in between: two that find nobody at work would both begin.
    const joined = running === undefined ? null : await running.wait();
    if (joined !== null) return joined;
    const work = task();
    const flight = share(work, runtime);
    running = flight;
    try {
      return await work;
    } finally {
      if (running === flight) running = undefined;
    }
  };
}

/** Returns a function that makes a value on its first call and hands out the same one from then on. */
export function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: T | undefined;
  return async () => {
    // Two first callers make it twice, which costs less than one of them waiting inside the other's request.
    made ??= await make();
    return made;
  };
}
