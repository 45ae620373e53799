/**
 * The refresh token: its own address, a generation, and a tag. Nothing is stored per token: the same fields under the
 * same key are the same token, so the current one can be given out again exactly.
 *
 *   prt1_ base64url( user id 16 | session id 16 | family secret 16 | generation u32 | tag 16 )
 *
 * The tag, HMAC-SHA-256 truncated to 128 bits, is checked before anything else: a forged or mangled token costs one
 * HMAC and wakes nobody.
 */
import { fromBase64Url, fromUuid, toBase64Url, toUuid } from "../kit/encoding.ts";
import type { KeyPair } from "../kit/secrets.ts";

const PREFIX = "prt1_";
const ID_BYTES = 16;
export const FAMILY_SECRET_BYTES = 16;
const TAG_BYTES = 16;
const GENERATION_OFFSET = ID_BYTES * 2 + FAMILY_SECRET_BYTES;
const SIGNED_BYTES = GENERATION_OFFSET + 4;

export interface RefreshToken {
  readonly userId: string;
  readonly sessionId: string;
  /** The same for every generation of a session; the session's object holds its SHA-256 only. */
  readonly familySecret: Uint8Array<ArrayBuffer>;
  /** 1 at login, one more with each rotation. */
  readonly generation: number;
}

export interface RefreshTokenCodec {
  encode(token: RefreshToken): Promise<string>;
  /** Null unless `text` is, to the letter, a token that {@link encode} wrote under the current or previous secret. */
  decode(text: string): Promise<RefreshToken | null>;
}

async function tagOf(key: CryptoKey, signed: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await crypto.subtle.sign("HMAC", key, signed)).slice(0, TAG_BYTES);
}

export function createRefreshTokenCodec(tagKeys: () => Promise<KeyPair>): RefreshTokenCodec {
  return {
    async encode({ userId, sessionId, familySecret, generation }) {
      const bytes = new Uint8Array(SIGNED_BYTES + TAG_BYTES);
      bytes.set(fromUuid(userId), 0);
      bytes.set(fromUuid(sessionId), ID_BYTES);
      bytes.set(familySecret, ID_BYTES * 2);
      new DataView(bytes.buffer).setUint32(GENERATION_OFFSET, generation);
      const { current } = await tagKeys();
      bytes.set(await tagOf(current, bytes.slice(0, SIGNED_BYTES)), SIGNED_BYTES);
      return PREFIX + toBase64Url(bytes);
    },

    async decode(text) {
      if (!text.startsWith(PREFIX)) return null;
      const bytes = fromBase64Url(text.slice(PREFIX.length));
      if (bytes?.byteLength !== SIGNED_BYTES + TAG_BYTES) return null;
      const signed = bytes.slice(0, SIGNED_BYTES);
      const tag = bytes.slice(SIGNED_BYTES);
      const { current, previous } = await tagKeys();
      const matches = async (key: CryptoKey | null): Promise<boolean> =>
        key !== null && crypto.subtle.timingSafeEqual(await tagOf(key, signed), tag);
      if (!(await matches(current)) && !(await matches(previous))) return null;
      return {
        userId: toUuid(signed.subarray(0, ID_BYTES)),
        sessionId: toUuid(signed.subarray(ID_BYTES, ID_BYTES * 2)),
        familySecret: signed.slice(ID_BYTES * 2, GENERATION_OFFSET),
        generation: new DataView(signed.buffer).getUint32(GENERATION_OFFSET),
      };
    },
  };
}
