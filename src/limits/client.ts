/**
 * Rate limits as a door sees them: a name, a key, and whether there is room. A denial is remembered here until it ends,
 * so that a flood does not reach the counter. The only file that knows the counter is a Durable Object.
 */
import { BoundedMap } from "../kit/bounded-map.ts";
import type { Limit } from "../kit/config.ts";
import type { LimitState } from "../kit/failure.ts";
import { describe, log } from "../kit/log.ts";
import { fail, ok, type Result } from "../kit/result.ts";
import type { Runtime } from "../kit/runtime.ts";
import type { Counter, HitReply } from "./object.ts";

const REMEMBERED_DENIALS = 10_000;

export interface Limits {
  /**
   * Counts a request to the endpoint `name` from `address`. Fails with `rate_limited`, and with
   * `dependency_unavailable` when nobody can count: an attacker must not gain from breaking the counter.
   */
  take(name: string, limit: Limit, address: string): Promise<Result<LimitState>>;
}

export function createLimits(namespace: DurableObjectNamespace<Counter>, runtime: Runtime): Limits {
  /** Key to the time its denial ends. */
  const denials = new BoundedMap<string, number>(REMEMBERED_DENIALS);

  const stateOf = (name: string, limit: Limit, remaining: number, resetMs: number): LimitState => ({
    name,
    quota: limit.quota,
    windowSeconds: limit.windowSeconds,
    remaining,
    resetSeconds: Math.max(1, Math.ceil(resetMs / 1000)),
  });

  return {
    async take(name, limit, address) {
      const key = `${name} ${address}`;
      const deniedMs = (denials.get(key) ?? 0) - runtime.now();
      if (deniedMs > 0) return fail({ code: "rate_limited", limit: stateOf(name, limit, 0, deniedMs) });

      let reply: HitReply;
      try {
        const window = { quota: limit.quota, windowMs: limit.windowSeconds * 1000 };
        reply = await namespace.getByName(key).hit(window);
      } catch (error) {
        log({ event: "dependency.failed", dependency: "limits", error: describe(error) });
        return fail({ code: "dependency_unavailable", dependency: "limits" });
      }
      const state = stateOf(name, limit, reply.remaining, reply.resetMs);
      if (reply.allowed) return ok(state);
      denials.set(key, runtime.now() + reply.resetMs);
      return fail({ code: "rate_limited", limit: state });
    },
  };
}
