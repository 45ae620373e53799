/**
 * One master secret, many keys: HKDF-SHA-256 (RFC 5869) with a label per purpose, so that no key of one purpose is of
 * any use in another. Keys are derived once per isolate and are not extractable.
 */
import { utf8 } from "./encoding.ts";
import { once } from "./shared.ts";

/** What a key is for. The label is part of every key: changing one makes what it protects unreadable. */
export type Purpose = "refresh-token" | "signing-key-at-rest";

/** `AUTH_SECRET` and, while it is being changed, the one before. */
export interface MasterSecrets {
  readonly current: Uint8Array<ArrayBuffer>;
  readonly previous: Uint8Array<ArrayBuffer> | null;
}

/** A key under the current secret and one under the previous; write with the first, accept both. */
export interface KeyPair {
  readonly current: CryptoKey;
  readonly previous: CryptoKey | null;
}

type KeyKind = "hmac" | "aes-gcm";

async function derive(secret: Uint8Array<ArrayBuffer>, purpose: Purpose, kind: KeyKind): Promise<CryptoKey> {
  const master = await crypto.subtle.importKey("raw", secret, "HKDF", false, ["deriveKey"]);
  const params = { name: "HKDF", hash: "SHA-256", salt: new Uint8Array(), info: utf8(`postern/${purpose}/v1`) };
  return kind === "hmac"
    ? crypto.subtle.deriveKey(params, master, { name: "HMAC", hash: "SHA-256", length: 256 }, false, ["sign"])
    : crypto.subtle.deriveKey(params, master, { name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"]);
}

/** Returns a function that derives the keys on its first call and hands out the same ones from then on. */
export function keysFor(secrets: MasterSecrets, purpose: Purpose, kind: KeyKind): () => Promise<KeyPair> {
  return once(async () => {
    const [current, previous] = await Promise.all([
      derive(secrets.current, purpose, kind),
      secrets.previous === null ? null : derive(secrets.previous, purpose, kind),
    ]);
    return { current, previous };
  });
}

/** SHA-256 of `data`. */
export async function sha256(data: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", data));
}
