/**
 * How often the password of one account name may be guessed: one log of guesses, two tiers over it. Pure; times are
 * milliseconds since 1970.
 *
 * A guess is charged before it is hashed, and stays charged unless the password was right: so concurrent guesses cannot
 * slip past each other.
 * - From one address: the exact sliding window. A right password forgives its own guess and those charged before it.
 * - From all addresses together: below the quota nothing; beyond it guesses are spaced, by an interval that doubles up to
 *   a minute. It is a delay and not a wall, and does not concern an address from which the password was right lately.
 *
 * A refused guess is not logged. So the log holds what was let through, and that is bounded, however many addresses ask.
 */
import { hit, type Window } from "./window.ts";

/** Beyond the account's quota the next guess must be this much later than the last, then twice as much, … */
export const FIRST_SPACING_MS = 1000;
/** … but never more than this: the longest that anybody waits because of what others did. */
export const MAX_SPACING_MS = 60_000;
/** Addresses remembered to have sent the right password; the one unused longest is forgotten first. */
export const KNOWN_ADDRESSES = 10;
export const KNOWN_FOR_MS = 30 * 86_400_000;
/** A guess younger than this may still turn out right. */
export const UNDECIDED_MS = 1000;

export interface AttemptWindows {
  /** Per (account, address). */
  readonly address: Window;
  /** Per account; addresses known are neither counted nor held up. */
  readonly account: Window;
}

/** A guess that was let through and not refunded. */
export interface Charge {
  /** Grows with every charge: tells which of two came first even within a millisecond. */
  readonly id: number;
  readonly at: number;
  readonly address: string;
}

export interface KnownAddress {
  readonly address: string;
  readonly at: number;
}

export interface Attempts {
  readonly nextId: number;
  /** Oldest first. */
  readonly charges: readonly Charge[];
  /** Latest first. */
  readonly known: readonly KnownAddress[];
  /** When nothing of this matters any more. */
  readonly forgettableAt: number;
}

export const NO_ATTEMPTS: Attempts = { nextId: 1, charges: [], known: [], forgettableAt: 0 };

/** The tier with the least room, or the one that refused. */
export interface Binding {
  readonly tier: keyof AttemptWindows;
  readonly remaining: number;
  /** Until at least one more guess will be let through than now. */
  readonly resetMs: number;
}

export type AttemptDecision =
  | { readonly allowed: true; readonly id: number; readonly binding: Binding; readonly attempts: Attempts }
  | {
      readonly allowed: false;
      readonly binding: Binding;
      /** A guess that is in the way may still be refunded: worth asking again in a moment. */
      readonly undecided: boolean;
    };

function isKnown(attempts: Attempts, address: string, now: number): boolean {
  return attempts.known.some((known) => known.address === address && known.at > now - KNOWN_FOR_MS);
}

/** What still counts in some tier at `now`. */
function prune(attempts: Attempts, windows: AttemptWindows, now: number): Attempts {
  const longestMs = Math.max(windows.address.windowMs, windows.account.windowMs);
  const keptMs = (address: string): number => (isKnown(attempts, address, now) ? windows.address.windowMs : longestMs);
  return {
    ...attempts,
    charges: attempts.charges.filter(({ at, address }) => at > now - keptMs(address)),
    known: attempts.known.filter(({ at }) => at > now - KNOWN_FOR_MS),
  };
}

/** How long after the last guess the next may come, `beyond` guesses after the quota was used up. */
function spacingMs(beyond: number): number {
  return Math.min(MAX_SPACING_MS, FIRST_SPACING_MS * 2 ** Math.min(beyond, 30));
}

/** When the account-wide tier lets the next guess through. `log`: those in its window, oldest first. */
function accountOpensAt(log: readonly number[], { quota, windowMs }: Window, now: number): number {
  const newest = log.at(-1) ?? now;
  let opensAt = Number.POSITIVE_INFINITY;
  // The spacing shrinks with each guess that leaves the window: the first moment at which one of them suffices.
  for (let left = 0; ; left++) {
    const from = left === 0 ? now : (log[left - 1] ?? now) + windowMs;
    const beyond = log.length - left - quota;
    if (beyond < 0) return Math.min(opensAt, from);
    opensAt = Math.min(opensAt, Math.max(from, newest + spacingMs(beyond)));
  }
}

function accountTier(log: readonly number[], window: Window, now: number): Binding & { readonly allowed: boolean } {
  const opensAt = accountOpensAt(log, window, now);
  const allowed = opensAt <= now;
  const next = allowed ? [...log, now] : log;
  const remaining = Math.max(0, window.quota - next.length);
  if (remaining > 0) return { tier: "account", allowed, remaining, resetMs: (next[0] ?? now) + window.windowMs - now };
  return { tier: "account", allowed, remaining, resetMs: accountOpensAt(next, window, now) - now };
}

function tighter(a: Binding, b: Binding): Binding {
  if (a.remaining !== b.remaining) return a.remaining < b.remaining ? a : b;
  return a.resetMs >= b.resetMs ? a : b;
}

/** Decides on a guess from `address` at `now`, and charges it if it may be made. */
export function attempt(before: Attempts, address: string, windows: AttemptWindows, now: number): AttemptDecision {
  const attempts = prune(before, windows, now);
  const own = attempts.charges.filter((charge) => charge.address === address);
  const { log: ownLog, ...ownWindow } = hit(
    own.map(({ at }) => at),
    windows.address,
    now,
  );
  const byAddress = { tier: "address", remaining: ownWindow.remaining, resetMs: ownWindow.resetMs } as const;
  const strangers = attempts.charges.filter(
    (charge) => charge.at > now - windows.account.windowMs && !isKnown(attempts, charge.address, now),
  );
  const byAccount = isKnown(attempts, address, now)
    ? null
    : accountTier(
        strangers.map(({ at }) => at),
        windows.account,
        now,
      );

  if (!ownWindow.allowed) {
    const undecided = ownLog.some((at) => at > now - UNDECIDED_MS);
    const binding = byAccount?.allowed === false ? tighter(byAddress, byAccount) : byAddress;
    return { allowed: false, binding, undecided };
  }
  if (byAccount?.allowed === false) return { allowed: false, binding: byAccount, undecided: false };

  const id = attempts.nextId;
  return {
    allowed: true,
    id,
    binding: byAccount === null ? byAddress : tighter(byAddress, byAccount),
    attempts: {
      ...attempts,
      nextId: id + 1,
      charges: [...attempts.charges, { id, at: now, address }],
      forgettableAt: Math.max(
        attempts.forgettableAt,
        now + Math.max(windows.address.windowMs, windows.account.windowMs),
      ),
    },
  };
}

/** The guess charged as `id` was right: it and all of its address before it are forgiven, and the address is known. */
export function succeeded(attempts: Attempts, address: string, id: number, now: number): Attempts {
  const others = attempts.known.filter((known) => known.address !== address);
  return {
    ...attempts,
    charges: attempts.charges.filter((charge) => charge.address !== address || charge.id > id),
    known: [{ address, at: now }, ...others].slice(0, KNOWN_ADDRESSES),
    forgettableAt: Math.max(attempts.forgettableAt, now + KNOWN_FOR_MS),
  };
}

/** The guess charged as `id` was never made. */
export function withdrawn(attempts: Attempts, id: number): Attempts {
  return { ...attempts, charges: attempts.charges.filter((charge) => charge.id !== id) };
}
