/**
 * What happens on refresh: the pure rule. A session's refresh tokens form a family of which one generation is current;
 * a lost answer is forgiven, theft is not (RFC 9700 section 4.14.2).
 *
 *   presented = current                                        rotated: the next generation becomes current
 *   presented = current - 1, same Idempotency-Key as then      replayed: the current one again, at any later time
 *   presented = current - 1, within the race window            replayed: tabs raced, or a quick retry
 *   anything else                                              reused: the family is revoked
 *
 * No clock, no storage, no cryptography: plain data and `now` in, plain data out. All times are milliseconds since 1970.
 */

export interface Family {
  /** SHA-256 of the family secret, hex. */
  readonly secretHash: string;
  readonly generation: number;
  readonly rotatedAt: number;
  /** SHA-256 of the Idempotency-Key of the rotation that made the current generation; null at login. */
  readonly keyHash: string | null;
  readonly createdAt: number;
  readonly lastUsedAt: number;
  /** Ends here unless it is refreshed before; never later than `expiresAt`. */
  readonly idleExpiresAt: number;
  /** Ends here in any case. */
  readonly expiresAt: number;
  readonly revokedAt: number | null;
}

/** A refresh token as the rule sees it. */
export interface Presented {
  readonly secretHash: string;
  readonly generation: number;
  readonly keyHash: string | null;
}

export interface Lifetimes {
  readonly idleMs: number;
  readonly maxMs: number;
  /** How long the generation before the current one is forgiven without a key; 0 is never. */
  readonly raceMs: number;
  /** Lifetime of the access tokens that go out with a refresh token. */
  readonly accessMs: number;
}

export type Rotation =
  | { readonly outcome: "rotated" | "replayed" | "reused"; readonly family: Family }
  | { readonly outcome: "revoked" | "expired" | "mismatch" };

/** A family at its first generation. */
export function startFamily(secretHash: string, lifetimes: Lifetimes, now: number): Family {
  const expiresAt = now + lifetimes.maxMs;
  return {
    secretHash,
    generation: 1,
    rotatedAt: now,
    keyHash: null,
    createdAt: now,
    lastUsedAt: now,
    idleExpiresAt: Math.min(now + lifetimes.idleMs, expiresAt),
    expiresAt,
    revokedAt: null,
  };
}

/**
 * From here on nothing can name the family any more: its last refresh token and the last access token issued with it
 * have expired. Until then even a revoked family is remembered, so that whatever is *not* remembered has expired.
 */
export function forgettableAt(family: Family, lifetimes: Lifetimes): number {
  return family.idleExpiresAt + lifetimes.accessMs;
}

/** The family with its end marked; a family that has ended stays as it is. */
export function revoke(family: Family, now: number): Family {
  return family.revokedAt === null ? { ...family, revokedAt: now } : family;
}

/** By how much the end of an unused session is set too late, so that not every use need be noted. */
const VISIT_SLACK_MS = 5 * 60_000;

/** A session without refresh tokens after a use of it; null where the use need not be noted. Never ends it early. */
export function visit(family: Family, { idleMs, maxMs }: Lifetimes, now: number): Family | null {
  const expiresAt = family.createdAt + maxMs;
  if (family.idleExpiresAt >= Math.min(now + idleMs, expiresAt)) return null;
  const slackMs = Math.min(VISIT_SLACK_MS, Math.floor(idleMs / 10));
  return { ...family, lastUsedAt: now, idleExpiresAt: Math.min(now + idleMs + slackMs, expiresAt) };
}

/** Decides on a presented token, and gives the family as it is afterwards wherever that differs. */
export function rotate(family: Family, presented: Presented, lifetimes: Lifetimes, now: number): Rotation {
  if (family.secretHash !== presented.secretHash) return { outcome: "mismatch" };
  if (family.revokedAt !== null) return { outcome: "revoked" };
  if (now >= family.idleExpiresAt) return { outcome: "expired" };

  if (presented.generation === family.generation) {
    return {
      outcome: "rotated",
      family: {
        ...family,
        generation: family.generation + 1,
        rotatedAt: now,
        keyHash: presented.keyHash,
        lastUsedAt: now,
        idleExpiresAt: Math.min(now + lifetimes.idleMs, family.expiresAt),
      },
    };
  }

  const isPrevious = presented.generation === family.generation - 1;
  const sameKey = presented.keyHash !== null && presented.keyHash === family.keyHash;
  const inRaceWindow = now - family.rotatedAt < lifetimes.raceMs;
  if (isPrevious && (sameKey || inRaceWindow)) return { outcome: "replayed", family };

  return { outcome: "reused", family: revoke(family, now) };
}
