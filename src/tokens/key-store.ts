/**
 * Signing keys in D1: read all, mint one. The private part is sealed with AES-GCM under a key derived from
 * `AUTH_SECRET`, bound to its kid; D1 alone signs nothing. Not here: which key signs (key-states.ts), caching (keyring.ts).
 */
import { onDatabase } from "../kit/database.ts";
import { toBase64Url, utf8 } from "../kit/encoding.ts";
import { ok, type Result } from "../kit/result.ts";
import type { Runtime } from "../kit/runtime.ts";
import { type KeyPair, sha256 } from "../kit/secrets.ts";
import { RSA, SIGNING_ALG } from "./jws.ts";
import type { KeyTimes } from "./key-states.ts";

const IV_BYTES = 12;

/** A public JWK as it is published: RFC 7517 with `kid`, `use` and `alg`, no private member. */
export interface PublicJwk {
  readonly kty: string;
  readonly n: string;
  readonly e: string;
  readonly kid: string;
  readonly use: "sig";
  readonly alg: string;
}

export interface StoredKey extends KeyTimes {
  readonly publicJwk: PublicJwk;
  readonly sealedPrivateKey: Uint8Array<ArrayBuffer>;
}

interface KeyRow {
  kid: string;
  public_jwk: string;
  private_key: number[];
  created_at: number;
  active_at: number;
  withdrawn_at: number | null;
}

export interface KeyStore {
  /** Every key there is; one D1 query. */
  readAll(): Promise<Result<readonly StoredKey[]>>;
  /**
   * Mints the successor of `predecessor` ("" for the first key), active at `activeAt`, and withdraws the keys named, all or
   * nothing. When another isolate was faster its key stands and ours is dropped: read again to see which.
   */
  mint(predecessor: string, activeAt: number, withdrawing?: readonly string[]): Promise<Result<void>>;
  /** Lets a key sign from `activeAt` on, unless it was to do so earlier. */
  advance(kid: string, activeAt: number): Promise<Result<void>>;
  /** Seals a key under the current secret if it is sealed under the previous one. */
  reseal(key: StoredKey): Promise<Result<void>>;
  remove(kids: readonly string[]): Promise<Result<void>>;
  /** The private key, or null when neither the current nor the previous `AUTH_SECRET` opens it. */
  open(key: StoredKey): Promise<CryptoKey | null>;
}

export function createKeyStore(
  database: D1Database,
  sealingKeys: () => Promise<KeyPair>,
  modulusBits: number,
  runtime: Runtime,
): KeyStore {
  async function seal(kid: string, pkcs8: ArrayBuffer): Promise<Uint8Array> {
    const iv = runtime.randomBytes(IV_BYTES);
    const { current } = await sealingKeys();
    const sealed = await crypto.subtle.encrypt({ name: "AES-GCM", iv, additionalData: utf8(kid) }, current, pkcs8);
    const out = new Uint8Array(IV_BYTES + sealed.byteLength);
    out.set(iv);
    out.set(new Uint8Array(sealed), IV_BYTES);
    return out;
  }

  async function unseal(key: StoredKey, sealingKey: CryptoKey): Promise<ArrayBuffer | null> {
    const iv = key.sealedPrivateKey.subarray(0, IV_BYTES);
    const params = { name: "AES-GCM", iv, additionalData: utf8(key.kid) };
    try {
      return await crypto.subtle.decrypt(params, sealingKey, key.sealedPrivateKey.subarray(IV_BYTES));
    } catch {
      return null;
    }
  }

  /** Runs one statement per element, all or none; with no elements nothing. */
  async function forEach<T>(items: readonly T[], statement: (item: T) => D1PreparedStatement): Promise<Result<void>> {
    if (items.length === 0) return ok(undefined);
    const done = await onDatabase(runtime, () => database.batch(items.map(statement)));
    return done.ok ? ok(undefined) : done;
  }

  return {
    readAll: () =>
      onDatabase(runtime, async () => {
        const { results } = await database
          .withSession("first-primary")
          .prepare("SELECT kid, public_jwk, private_key, created_at, active_at, withdrawn_at FROM signing_keys")
          .all<KeyRow>();
        return results.map((row) => ({
          kid: row.kid,
          publicJwk: JSON.parse(row.public_jwk) as PublicJwk,
          sealedPrivateKey: Uint8Array.from(row.private_key),
          createdAt: row.created_at,
          activeAt: row.active_at,
          withdrawnAt: row.withdrawn_at,
        }));
      }),

    async mint(predecessor, activeAt, withdrawing = []) {
      const pair = (await crypto.subtle.generateKey(
        { ...RSA, modulusLength: modulusBits, publicExponent: new Uint8Array([1, 0, 1]) },
        true,
        ["sign", "verify"],
      )) as CryptoKeyPair;
      const { n = "", e = "" } = (await crypto.subtle.exportKey("jwk", pair.publicKey)) as JsonWebKey;
      // The members in the order that RFC 7638 section 3.2 prescribes.
      const kid = toBase64Url(await sha256(utf8(JSON.stringify({ e, kty: "RSA", n }))));
      const publicJwk: PublicJwk = { kty: "RSA", n, e, kid, use: "sig", alg: SIGNING_ALG };
      const privateKey = await seal(kid, (await crypto.subtle.exportKey("pkcs8", pair.privateKey)) as ArrayBuffer);
      const minted = await onDatabase(runtime, () =>
        database.batch([
          database
            .prepare(
              `INSERT INTO signing_keys (kid, predecessor, alg, public_jwk, private_key, created_at, active_at)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING`,
            )
            .bind(kid, predecessor, SIGNING_ALG, JSON.stringify(publicJwk), privateKey, runtime.now(), activeAt),
          ...withdrawing.map((withdrawn) =>
            database
              .prepare("UPDATE signing_keys SET withdrawn_at = min(coalesce(withdrawn_at, ?1), ?1) WHERE kid = ?2")
              .bind(activeAt, withdrawn),
          ),
        ]),
      );
      return minted.ok ? ok(undefined) : minted;
    },

    advance: (kid, activeAt) =>
      forEach([kid], () =>
        database.prepare("UPDATE signing_keys SET active_at = min(active_at, ?1) WHERE kid = ?2").bind(activeAt, kid),
      ),

    async reseal(key) {
      const { current, previous } = await sealingKeys();
      if (previous === null || (await unseal(key, current)) !== null) return ok(undefined);
      const pkcs8 = await unseal(key, previous);
      if (pkcs8 === null) return ok(undefined);
      const sealed = await seal(key.kid, pkcs8);
      return forEach([key.kid], (kid) =>
        database.prepare("UPDATE signing_keys SET private_key = ?1 WHERE kid = ?2").bind(sealed, kid),
      );
    },

    remove: (kids) => forEach(kids, (kid) => database.prepare("DELETE FROM signing_keys WHERE kid = ?1").bind(kid)),

    async open(key) {
      const { current, previous } = await sealingKeys();
      const pkcs8 = (await unseal(key, current)) ?? (previous === null ? null : await unseal(key, previous));
      return pkcs8 === null ? null : crypto.subtle.importKey("pkcs8", pkcs8, RSA, false, ["sign"]);
    },
  };
}

/** Imports a published key for verification. */
export function importPublicKey(jwk: PublicJwk): Promise<CryptoKey> {
  return crypto.subtle.importKey("jwk", jwk, RSA, false, ["verify"]);
}
