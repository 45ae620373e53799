/**
 * What a request costs, counted where the cost arises: calls of Durable Objects and of D1, signatures made and checked,
 * passwords hashed. The request's meter travels with its asynchronous context, so no capability has to hand it on. Work
 * that requests share is counted to the one that does it; what nobody waits for (a refund, the audit trail) is not.
 */
import { AsyncLocalStorage } from "node:async_hooks";

export const COSTS = ["objects", "d1", "sign", "verify", "hash"] as const;
export type Cost = (typeof COSTS)[number];
export type Meter = Record<Cost, number>;

const meters = new AsyncLocalStorage<Meter>();

/** Runs `work` with a meter of its own, and hands it that meter. */
export function metered<T>(work: (meter: Meter) => T): T {
  const meter: Meter = { objects: 0, d1: 0, sign: 0, verify: 0, hash: 0 };
  return meters.run(meter, work, meter);
}

/** Counts one `cost` to the request under way, if there is one. */
export function count(cost: Cost): void {
  const meter = meters.getStore();
  if (meter !== undefined) meter[cost] += 1;
}
