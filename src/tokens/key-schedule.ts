/**
 * When the next signing key is minted and when it starts to sign: the pure rule. A key is published long enough before
 * it signs that every verifier has seen it, caches included; the one before stays published until its last token has
 * expired. A schedule that was missed, by days or weeks, is taken up where it is: the current key just signs longer.
 */
import { type KeyStates, type KeyTimes, keyStates } from "./key-states.ts";

/** How long before it signs a key is published in the ordinary course: time for verifiers that cache for a day. */
export const PUBLISH_LEAD_MS = 24 * 3_600_000;
/**
 * The shortest lead that is safe: JWKS max-age (300 s) and the keyring cache of an isolate (60 s), one after the other,
 * and as much again for caches in between. A rotation on demand waits this long, and verifiers with a longer cache of their own refetch on the kid.
 */
export const SHORTEST_LEAD_MS = 11 * 60_000;
/** How long a key is kept in the database after nothing it signed can be valid any more, for whoever investigates. */
const KEPT_AFTER_MS = 30 * 24 * 3_600_000;

export interface Minting {
  readonly predecessor: string;
  readonly activeAt: number;
}

/** What to mint now, if anything, so that keys change every `rotationMs`. */
export function scheduledMinting(states: KeyStates<KeyTimes>, rotationMs: number, now: number): Minting | null {
  const { current, next } = states;
  if (current === null || next.length > 0) return null;
  const dueAt = current.activeAt + rotationMs;
  return now < dueAt - PUBLISH_LEAD_MS
    ? null
    : { predecessor: current.kid, activeAt: Math.max(dueAt, now + PUBLISH_LEAD_MS) };
}

/** Keys that may be deleted: long succeeded or withdrawn, and never the newest. */
export function forgettableKeys(keys: readonly KeyTimes[], acceptedMs: number, now: number): readonly string[] {
  const then = now - KEPT_AFTER_MS;
  const { current, next, retired } = keyStates(keys, then, acceptedMs);
  const needed = new Set([...next, ...retired, ...(current === null ? [] : [current])].map(({ kid }) => kid));
  return keys
    .filter(({ kid, createdAt, withdrawnAt }) => !needed.has(kid) && createdAt < then && (withdrawnAt ?? then) <= then)
    .map(({ kid }) => kid);
}
