/**
 * The states of the signing keys, from their timestamps alone: *next* is published and does not sign yet, *current*
 * signs, *retired* is published until the last token it signed has expired. Pure: no clock, no storage.
 */

/** The times of one key, in milliseconds since 1970. */
export interface KeyTimes {
  readonly kid: string;
  /** Published from here on. */
  readonly createdAt: number;
  /** Signs from here on, until the key that is active next does. */
  readonly activeAt: number;
  /** Compromised: neither published nor accepted. */
  readonly withdrawnAt: number | null;
}

export interface KeyStates<K extends KeyTimes> {
  readonly next: readonly K[];
  /** Null only when no key was ever active. */
  readonly current: K | null;
  readonly retired: readonly K[];
}

/**
 * Sorts keys into their states at `now`. Keys that are withdrawn, or whose last token has expired, are in none.
 * @param acceptedMs how long after it stopped signing a key's tokens may still be shown: token lifetime plus skew
 */
export function keyStates<K extends KeyTimes>(keys: readonly K[], now: number, acceptedMs: number): KeyStates<K> {
  const usable = keys
    .filter((key) => key.withdrawnAt === null || key.withdrawnAt > now)
    .toSorted((a, b) => a.activeAt - b.activeAt || (a.kid < b.kid ? -1 : 1));
  const next = usable.filter((key) => key.activeAt > now);
  const active = usable.filter((key) => key.activeAt <= now);
  const retired = active.slice(0, -1).filter((_, index) => {
    const stoppedSigningAt = active[index + 1]?.activeAt ?? now;
    return now < stoppedSigningAt + acceptedMs;
  });
  return { next, current: active.at(-1) ?? null, retired };
}
