/**
 * What the edge and a user's session object say to each other. Plain data: edge and object may be of different versions
 * for a while during a deployment, so fields are added and never change their meaning.
 */
import type { Lifetimes } from "./rotation.ts";

export interface AccountSnapshot {
  readonly role: string;
  readonly status: "active" | "disabled";
  /** An object that knows a higher one has heard of a later change, and refuses. */
  readonly revision: number;
}

/** Who asks, and how long it goes on believing the answer. */
export interface Holder {
  /** Random id of the asking isolate. */
  readonly isolate: string;
  readonly leaseMs: number;
}

export interface OpenSession {
  readonly sessionId: string;
  readonly secretHash: string;
  readonly account: AccountSnapshot;
  readonly lifetimes: Lifetimes;
  readonly maxSessions: number;
  readonly userAgent: string;
  readonly address: string;
  /** A session without refresh tokens that this one takes over from: it must be live, stays so, and ends with this one. */
  readonly from?: string;
  /** The user was logged in elsewhere: that this reading of the account may be old does not matter. */
  readonly isAdopted?: boolean;
}

/** Durations and not times: the clocks of edge and object need not agree. */
export interface TimeLeft {
  /** Until the session ends if it is not refreshed. */
  readonly idleLeftMs: number;
  /** Until it ends in any case. */
  readonly maxLeftMs: number;
}

/** `stale`: the account was changed after it was read; read it again. `ended`: the session given as `from` is not live. */
export type OpenReply =
  | ({ readonly outcome: "opened" } & TimeLeft)
  | { readonly outcome: "stale" }
  | { readonly outcome: "ended" };

/** A use of a session that has no refresh token and lives by being used. */
export interface VisitSession {
  readonly sessionId: string;
  readonly lifetimes: Lifetimes;
}

export interface RefreshSession {
  readonly sessionId: string;
  readonly secretHash: string;
  readonly generation: number;
  readonly keyHash: string;
  readonly lifetimes: Lifetimes;
}

export type RefreshReply =
  | ({ readonly outcome: "rotated" | "replayed"; readonly generation: number; readonly role: string } & TimeLeft)
  | { readonly outcome: "reused"; readonly drainMs: number }
  | { readonly outcome: "revoked" | "expired" | "mismatch" };

/** `why`: the session expired unused, or the object knows of none. */
export type LeaseReply =
  | { readonly live: true; readonly role: string }
  | { readonly live: false; readonly why?: "expired" | "unknown" };

/**
 * `drainMs`: how long other isolates may still believe that what was just ended is live. Whoever promised its client
 * that it is over waits that long before saying so.
 */
export interface RevokeReply {
  readonly found: boolean;
  readonly drainMs: number;
}

export interface SessionView {
  readonly id: string;
  readonly createdAt: number;
  readonly lastUsedAt: number;
  readonly expiresAt: number;
  readonly userAgent: string;
  readonly address: string;
}
