/**
 * The exact sliding window: a log of the requests let through, of which at most `quota` may lie in any stretch of
 * `windowMs`. Pure; times are milliseconds since 1970. A refused request is not logged: knocking does not keep shut.
 */

export interface Window {
  readonly quota: number;
  readonly windowMs: number;
}

export interface Decision {
  readonly allowed: boolean;
  readonly remaining: number;
  /** Until at least one more request will be let through than now; while some remain, until the oldest leaves the window. */
  readonly resetMs: number;
  /** The log afterwards, oldest first. */
  readonly log: readonly number[];
}

/** Decides on a request at `now`, given the log of those before it. */
export function hit(log: readonly number[], { quota, windowMs }: Window, now: number): Decision {
  const recent = log.filter((at) => at > now - windowMs);
  const allowed = recent.length < quota;
  const next = allowed ? [...recent, now] : recent;
  // A quota that was lowered can leave more in the log than it allows: all but quota - 1 of them must leave first.
  const blocking = next.at(-Math.min(quota, next.length)) ?? now;
  return { allowed, remaining: Math.max(0, quota - next.length), resetMs: blocking + windowMs - now, log: next };
}
