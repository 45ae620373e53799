/**
 * Signing keys in D1: read all, mint one. The private part is sealed with AES-GCM under a key derived from
 * `AUTH_SECRET`, bound to its kid; D1 alone signs nothing. Not here: which key signs (key-states.ts), caching (keyring.ts).
 */
import { calculateJwkThumbprint, exportJWK } from "jose";
import { onDatabase } from "../kit/database.ts";
import { utf8 } from "../kit/encoding.ts";
import type { Result } from "../kit/result.ts";
import type { Runtime } from "../kit/runtime.ts";
import type { KeyPair } from "../kit/secrets.ts";
import type { KeyTimes } from "./key-states.ts";

export const SIGNING_ALG = "RS256";
const RSA = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" } as const;
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
   * Mints the successor of `predecessor` ("" for the first key), active at `activeAt`. When another isolate was faster
   * its key stands and ours is dropped: read again to see which.
   */
  mint(predecessor: string, activeAt: number): Promise<Result<void>>;
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

    async mint(predecessor, activeAt) {
      const pair = (await crypto.subtle.generateKey(
        { ...RSA, modulusLength: modulusBits, publicExponent: new Uint8Array([1, 0, 1]) },
        true,
        ["sign", "verify"],
      )) as CryptoKeyPair;
      const { kty = "RSA", n = "", e = "" } = await exportJWK(pair.publicKey);
      const kid = await calculateJwkThumbprint({ kty, n, e });
      const publicJwk: PublicJwk = { kty, n, e, kid, use: "sig", alg: SIGNING_ALG };
      const privateKey = await seal(kid, (await crypto.subtle.exportKey("pkcs8", pair.privateKey)) as ArrayBuffer);
      const minted = await onDatabase(runtime, () =>
        database
          .prepare(
            `INSERT INTO signing_keys (kid, predecessor, alg, public_jwk, private_key, created_at, active_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING`,
          )
          .bind(kid, predecessor, SIGNING_ALG, JSON.stringify(publicJwk), privateKey, runtime.now(), activeAt)
          .run(),
      );
      return minted.ok ? { ok: true, value: undefined } : minted;
    },

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
