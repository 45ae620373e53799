/**
 * Changes the signing keys: on schedule by cron, on demand by an admin. Writes D1; each isolate's keyring (keyring.ts)
 * follows when its cache ends, or at once when it meets a kid it does not know.
 */
import { fail, ok, type Result } from "../kit/result.ts";
import type { Runtime } from "../kit/runtime.ts";
import { forgettableKeys, scheduledMinting, SHORTEST_LEAD_MS } from "./key-schedule.ts";
import { keyStates } from "./key-states.ts";
import type { KeyStore, StoredKey } from "./key-store.ts";
import type { Keyring } from "./keyring.ts";

export type KeyState = "next" | "current" | "retired" | "withdrawn" | "expired";

/** A key as an operator sees it; times are milliseconds since 1970. */
export interface KeyView {
  readonly kid: string;
  readonly state: KeyState;
  readonly createdAt: number;
  readonly activeAt: number;
  readonly withdrawnAt: number | null;
}

export interface KeyRotation {
  list(): Promise<Result<readonly KeyView[]>>;
  /**
   * Mints the next key, active as soon as every verifier can know it. `compromised`: active at once, and every older key
   * withdrawn; isolates that have not looked since refuse its tokens within the minute of their cache.
   */
  rotate(compromised: boolean): Promise<Result<readonly KeyView[]>>;
  /** What the cron does: mint when due, seal anew what the previous secret sealed, delete what is long over. */
  maintain(): Promise<Result<void>>;
}

export interface KeyRotationOptions {
  readonly rotationMs: number;
  /** How long after a key stopped signing its tokens may still be shown. */
  readonly acceptedMs: number;
}

export function createKeyRotation(
  store: KeyStore,
  keyring: Keyring,
  { rotationMs, acceptedMs }: KeyRotationOptions,
  runtime: Runtime,
): KeyRotation {
  const view = (keys: readonly StoredKey[]): readonly KeyView[] => {
    const now = runtime.now();
    const { next, current, retired } = keyStates(keys, now, acceptedMs);
    const stateOf = (key: StoredKey): KeyState => {
      if (key.withdrawnAt !== null && key.withdrawnAt <= now) return "withdrawn";
      if (key === current) return "current";
      if (next.includes(key)) return "next";
      return retired.includes(key) ? "retired" : "expired";
    };
    return keys
      .toSorted((a, b) => b.activeAt - a.activeAt)
      .map((key) => ({
        kid: key.kid,
        state: stateOf(key),
        createdAt: key.createdAt,
        activeAt: key.activeAt,
        withdrawnAt: key.withdrawnAt,
      }));
  };

  const list = async (): Promise<Result<readonly KeyView[]>> => {
    const keys = await store.readAll();
    return keys.ok ? ok(view(keys.value)) : keys;
  };

  return {
    list,

    async rotate(compromised) {
      const keys = await store.readAll();
      if (!keys.ok) return keys;
      const now = runtime.now();
      const { current, next } = keyStates(keys.value, now, acceptedMs);
      if (current === null) return fail({ code: "dependency_unavailable", dependency: "keys" });
      if (compromised) {
        // The successor of the newest key of all: a chain has one successor per key, whatever state that key is in.
        const newest = next.at(-1) ?? current;
        const replaced = await store.mint(
          newest.kid,
          now,
          keys.value.map(({ kid }) => kid),
        );
        if (!replaced.ok) return replaced;
      } else {
        const soonest = now + SHORTEST_LEAD_MS;
        const [waiting] = next;
        const moved =
          waiting === undefined ? await store.mint(current.kid, soonest) : await store.advance(waiting.kid, soonest);
        if (!moved.ok) return moved;
      }
      keyring.forget();
      return list();
    },

    async maintain() {
      const keys = await store.readAll();
      if (!keys.ok) return keys;
      const now = runtime.now();
      const minting = scheduledMinting(keyStates(keys.value, now, acceptedMs), rotationMs, now);
      if (minting !== null) {
        const minted = await store.mint(minting.predecessor, minting.activeAt);
        if (!minted.ok) return minted;
      }
      for (const key of keys.value) {
        const sealed = await store.reseal(key);
        if (!sealed.ok) return sealed;
      }
      return store.remove(forgettableKeys(keys.value, acceptedMs, now));
    },
  };
}
