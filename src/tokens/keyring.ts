/**
 * The isolate's view of the signing keys. Loaded on first use (the very first start mints a key), believed for a minute,
 * refreshed by one caller for all, behind a busy isolate's back before the minute is over. Stale keys serve on when D1 is
 * away, since a key does not go bad with age alone.
 */
import type { Failure } from "../kit/failure.ts";
import { log } from "../kit/log.ts";
import { metered } from "../kit/meter.ts";
import { fail, ok, type Result } from "../kit/result.ts";
import type { Runtime } from "../kit/runtime.ts";
import { singleFlight } from "../kit/shared.ts";
import { importPublicKey, type KeyStore, type PublicJwk, type StoredKey } from "./key-store.ts";
import { keyStates } from "./key-states.ts";

/** How long a withdrawn key may still be believed here. */
const CACHE_MS = 60_000;
/** From this age on a request has the keys looked at again, without waiting for it. */
const REFRESH_MS = 30_000;
/** An unknown kid may be a key minted since we looked; this bounds how often it makes us look. */
const UNKNOWN_KID_REFETCH_MS = 10_000;
/** The very first key has none before it to sign in the meantime: it is current for edges whose clocks are behind, too. */
const FIRST_KEY_BACKDATED_MS = 60_000;

export interface SigningKey {
  readonly kid: string;
  readonly privateKey: CryptoKey;
}

export interface Keyring {
  /** The key that signs now. */
  signingKey(): Promise<Result<SigningKey>>;
  /** The key a token names, or null when no such key is published now. */
  verificationKey(kid: string): Promise<Result<CryptoKey | null>>;
  /** All published keys, the ones still to come included. */
  published(): Promise<Result<readonly PublicJwk[]>>;
  /** Makes the next call look again: the keys were changed here. */
  forget(): void;
}

interface LoadedKey extends StoredKey {
  readonly publicKey: CryptoKey;
}

interface Loaded {
  readonly keys: readonly LoadedKey[];
  readonly loadedAt: number;
}

const UNAVAILABLE: Failure = { code: "dependency_unavailable", dependency: "keys" };

/** @param acceptedMs how long after a key stopped signing its tokens may still be shown */
export function createKeyring(store: KeyStore, acceptedMs: number, runtime: Runtime): Keyring {
  let loaded: Loaded | undefined;
  let lastAttemptAt = Number.NEGATIVE_INFINITY;
  /** How often the keys were changed here: a reading that began before the last change is done again. */
  let changes = 0;
  const privateKeys = new Map<string, CryptoKey>();

  const read = async (): Promise<Result<Loaded>> => {
    const startedAt = runtime.now();
    lastAttemptAt = startedAt;
    let stored = await store.readAll();
    if (stored.ok && stored.value.length === 0) {
      const minted = await store.mint("", runtime.now() - FIRST_KEY_BACKDATED_MS);
      stored = minted.ok ? await store.readAll() : minted;
    }
    if (!stored.ok) return loaded === undefined ? stored : ok(loaded);
    const keys = await Promise.all(
      stored.value.map(async (key) => Object.assign(key, { publicKey: await importPublicKey(key.publicJwk) })),
    );
    // From its beginning: what was written while it was under way it may not have seen.
    loaded = { keys, loadedAt: startedAt };
    return ok(loaded);
  };

  const load = singleFlight(runtime, async (): Promise<Result<Loaded>> => {
    for (;;) {
      const seen = changes;
      const ring = await read();
      if (seen === changes) return ring;
    }
  });

  const current = async (): Promise<Result<Loaded>> => {
    const now = runtime.now();
    if (loaded === undefined) return load();
    const ageMs = now - loaded.loadedAt;
    // Whoever comes first after the pause looks again; D1 being away must not cost every request a timeout.
    if (ageMs < REFRESH_MS || now - lastAttemptAt < UNKNOWN_KID_REFETCH_MS) return ok(loaded);
    if (ageMs >= CACHE_MS) return load();
    runtime.waitUntil(metered(load));
    return ok(loaded);
  };

  const published = ({ keys }: Loaded): readonly LoadedKey[] => {
    const { next, current: signing, retired } = keyStates(keys, runtime.now(), acceptedMs);
    return [...next, ...(signing === null ? [] : [signing]), ...retired];
  };

  return {
    async signingKey() {
      const ring = await current();
      if (!ring.ok) return ring;
      const { current: key } = keyStates(ring.value.keys, runtime.now(), acceptedMs);
      if (key === null) return fail(UNAVAILABLE);
      const known = privateKeys.get(key.kid);
      if (known !== undefined) return ok({ kid: key.kid, privateKey: known });
      const privateKey = await store.open(key);
      if (privateKey === null) {
        log({ event: "dependency.failed", dependency: "keys", error: "no AUTH_SECRET opens the signing key" });
        return fail(UNAVAILABLE);
      }
      privateKeys.set(key.kid, privateKey);
      return ok({ kid: key.kid, privateKey });
    },

    async verificationKey(kid) {
      const ring = await current();
      if (!ring.ok) return ring;
      const find = (from: Loaded): CryptoKey | undefined => published(from).find((key) => key.kid === kid)?.publicKey;
      const known = find(ring.value);
      if (known !== undefined) return ok(known);
      if (runtime.now() - lastAttemptAt < UNKNOWN_KID_REFETCH_MS) return ok(null);
      const fresh = await load();
      return fresh.ok ? ok(find(fresh.value) ?? null) : fresh;
    },

    forget() {
      changes += 1;
      // Stale, not gone: if the database is away the next call still has something to serve.
      if (loaded !== undefined) loaded = { ...loaded, loadedAt: Number.NEGATIVE_INFINITY };
      lastAttemptAt = Number.NEGATIVE_INFINITY;
    },

    async published() {
      const ring = await current();
      return ring.ok ? ok(published(ring.value).map((key) => key.publicJwk)) : ring;
    },
  };
}
