/**
 * Rate limits as a door sees them: a name, a key, and whether there is room. A denial is remembered here until it ends,
 * so that a flood does not reach the counters. The only file that knows that they are Durable Objects.
 */
import { BoundedMap } from "../kit/bounded-map.ts";
import type { Limit } from "../kit/config.ts";
import { toBase64Url, utf8 } from "../kit/encoding.ts";
import type { LimitState } from "../kit/failure.ts";
import { describe, log } from "../kit/log.ts";
import { count } from "../kit/meter.ts";
import { fail, ok, type Result } from "../kit/result.ts";
import type { Runtime } from "../kit/runtime.ts";
import { sha256 } from "../kit/secrets.ts";
import { withinTimeLimit } from "../kit/time-limit.ts";
import { networkPrefix } from "./address.ts";
import type { AttemptWindows } from "./attempts.ts";
import type { AttemptReply, Counter, HitReply } from "./object.ts";
import type { Window } from "./window.ts";

const REMEMBERED_DENIALS = 10_000;
/** A /48 of IPv6 may do as much as this many of its 65,536 /64s. */
const NETWORK_FACTOR = 10;
/** Pauses before asking again while guesses under way may yet turn out right, and make room. */
const UNDECIDED_PAUSES_MS = [250, 750];
/** 96 bits: an address among those of one account. */
const ADDRESS_TAG_CHARACTERS = 16;
/** A counter answers in milliseconds; one that takes so long counts as away. */
const ANSWER_LIMIT_MS = 5_000;

/** A guess at a password that may be made. */
export interface Attempt {
  /** The tighter of the account's limits, as it stands if the guess is wrong. */
  readonly limit: LimitState;
  /** To be called when the password was right: refunds it, and remembers the address. Does not wait. */
  succeeded(): void;
  /** To be called when the password was not looked at. Does not wait. */
  withdraw(): void;
}

/**
 * `address` is always a prefix as `addressPrefix` makes it. Whoever counts may fail with `dependency_unavailable` when
 * nobody can count: an attacker must not gain from breaking the counters.
 */
export interface Limits {
  /** Counts a request to the endpoint `name` from `address`. Fails with `rate_limited`. */
  take(name: string, limit: Limit, address: string): Promise<Result<LimitState>>;
  /** As {@link take}; an IPv6 address counts against its /48 too, at ten times the quota. */
  takeWide(name: string, limit: Limit, address: string): Promise<Result<LimitState>>;
  /** Charges a guess at the password of `account`, by any key of its name. Fails with `too_many_attempts`. */
  attempt(account: string, address: string): Promise<Result<Attempt>>;
  /**
   * The refusal of a guess at this endpoint that costs no counter: one that is remembered, or the fence's. Null if there
   * is none; then nothing has been counted yet.
   */
  refusal(name: string, limit: Limit, account: string, address: string): Promise<Result<never> | null>;
}

interface Denial {
  readonly code: "rate_limited" | "too_many_attempts";
  readonly name: string;
  readonly limit: Limit;
  readonly until: number;
}

/** The one of two limits that will be felt first. */
export function tighter(a: LimitState, b: LimitState): LimitState {
  if (a.remaining !== b.remaining) return a.remaining < b.remaining ? a : b;
  return a.resetSeconds >= b.resetSeconds ? a : b;
}

function windowOf({ quota, windowSeconds }: Limit): Window {
  return { quota, windowMs: windowSeconds * 1000 };
}

async function digest(text: string): Promise<string> {
  return toBase64Url(await sha256(utf8(text)));
}

/** The platform's own rate limit, where it is bound: cheap, per location, approximate, and wider than any limit of ours. */
export type Fence = Pick<RateLimit, "limit">;

/** The limits of guesses at a password. */
export interface AttemptLimits {
  readonly accountAddress: Limit;
  readonly account: Limit;
}

const TIER_NAMES = { address: "account-address", account: "account" } as const;

export function createLimits(
  namespace: DurableObjectNamespace<Counter>,
  fence: Fence | null,
  attemptLimits: AttemptLimits,
  runtime: Runtime,
): Limits {
  const denials = new BoundedMap<string, Denial>(REMEMBERED_DENIALS);
  const tiers = { address: attemptLimits.accountAddress, account: attemptLimits.account };
  const windows: AttemptWindows = { address: windowOf(tiers.address), account: windowOf(tiers.account) };

  const endpointKey = (name: string, address: string): string => `${name} ${address}`;
  const networkName = (name: string): string => `${name}-network`;
  /** Of the pair: a denial of the account must not fall on an address from which it may still be used. */
  const attemptKey = (account: string, address: string): string => `account ${address} ${account}`;

  const stateOf = (name: string, limit: Limit, remaining: number, resetMs: number): LimitState => ({
    name,
    quota: limit.quota,
    windowSeconds: limit.windowSeconds,
    remaining,
    resetSeconds: Math.max(1, Math.ceil(resetMs / 1000)),
  });

  const remembered = (key: string): Result<never> | null => {
    const denial = denials.get(key);
    if (denial === undefined) return null;
    const leftMs = denial.until - runtime.now();
    if (leftMs > 0) return fail({ code: denial.code, limit: stateOf(denial.name, denial.limit, 0, leftMs) });
    denials.delete(key);
    return null;
  };

  const deny = (key: string, code: Denial["code"], name: string, limit: Limit, resetMs: number): Result<never> => {
    denials.set(key, { code, name, limit, until: runtime.now() + resetMs });
    return fail({ code, limit: stateOf(name, limit, 0, resetMs) });
  };

  async function ask<T>(
    objectName: string,
    call: (stub: DurableObjectStub<Counter>) => Promise<T>,
  ): Promise<Result<T>> {
    try {
      return ok(await withinTimeLimit(call(namespace.getByName(objectName)), ANSWER_LIMIT_MS));
    } catch (error) {
      log({ event: "dependency.failed", dependency: "limits", error: describe(error) });
      return fail({ code: "dependency_unavailable", dependency: "limits" });
    }
  }

  async function take(name: string, limit: Limit, address: string): Promise<Result<LimitState>> {
    const key = endpointKey(name, address);
    const refused = remembered(key);
    if (refused !== null) return refused;
    count("objects");
    const reply = await ask<HitReply>(key, async (stub) => stub.hit(windowOf(limit)));
    if (!reply.ok) return reply;
    const { allowed, remaining, resetMs } = reply.value;
    return allowed ? ok(stateOf(name, limit, remaining, resetMs)) : deny(key, "rate_limited", name, limit, resetMs);
  }

  /** A fence that fails lets through: behind it everything is counted anyway. */
  async function insideFence(key: string): Promise<boolean> {
    if (fence === null) return true;
    const outcome = await fence.limit({ key }).catch(() => null);
    return outcome?.success !== false;
  }

  async function charge(objectName: string, addressTag: string): Promise<Result<AttemptReply>> {
    for (let asked = 0; ; asked++) {
      count("objects");
      const reply = await ask<AttemptReply>(objectName, async (stub) => stub.attempt(addressTag, windows));
      const pauseMs = UNDECIDED_PAUSES_MS[asked];
      if (!reply.ok || reply.value.allowed || !reply.value.undecided || pauseMs === undefined) return reply;
      await runtime.sleep(pauseMs);
    }
  }

  return {
    take,

    async takeWide(name, limit, address) {
      const network = networkPrefix(address);
      if (network === null) return take(name, limit, address);
      const refused = remembered(endpointKey(name, address)) ?? remembered(endpointKey(networkName(name), network));
      if (refused !== null) return refused;
      const wide = { ...limit, quota: limit.quota * NETWORK_FACTOR };
      const [own, shared] = await Promise.all([take(name, limit, address), take(networkName(name), wide, network)]);
      if (!own.ok) return own;
      return shared.ok ? ok(tighter(own.value, shared.value)) : shared;
    },

    async attempt(account, address) {
      const key = attemptKey(account, address);
      const refused = remembered(key);
      if (refused !== null) return refused;
      const [accountTag, pairTag] = await Promise.all([digest(account), digest(`${account}\n${address}`)]);
      const objectName = `account ${accountTag}`;
      const addressTag = pairTag.slice(0, ADDRESS_TAG_CHARACTERS);
      const reply = await charge(objectName, addressTag);
      if (!reply.ok) return reply;
      const { tier, remaining, resetMs } = reply.value.binding;
      if (!reply.value.allowed) return deny(key, "too_many_attempts", TIER_NAMES[tier], tiers[tier], resetMs);

      const { id } = reply.value;
      return ok({
        limit: stateOf(TIER_NAMES[tier], tiers[tier], remaining, resetMs),
        succeeded() {
          // Of a guess refused while this one was under way, and which this one has just made room for.
          denials.delete(key);
          runtime.waitUntil(ask(objectName, async (stub) => stub.succeeded(addressTag, id)));
        },
        withdraw: () => runtime.waitUntil(ask(objectName, async (stub) => stub.withdrawn(id))),
      });
    },

    async refusal(name, limit, account, address) {
      const key = endpointKey(name, address);
      const network = networkPrefix(address);
      const refused =
        remembered(key) ??
        (network === null ? null : remembered(endpointKey(networkName(name), network))) ??
        remembered(attemptKey(account, address));
      if (refused !== null || (await insideFence(key))) return refused;
      return deny(key, "rate_limited", name, limit, limit.windowSeconds * 1000);
    },
  };
}
