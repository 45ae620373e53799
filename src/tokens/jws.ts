/**
 * JSON Web Signature in compact form (RFC 7515), for the one algorithm Postern signs and accepts: RS256. Strict where the
 * RFC lets libraries be lenient: a token has exactly one spelling. What the claims mean is access-token.ts.
 */
import { fromBase64Url, toBase64Url, utf8 } from "../kit/encoding.ts";
import { count } from "../kit/meter.ts";

export const SIGNING_ALG = "RS256";
/** The WebCrypto name of {@link SIGNING_ALG} (RFC 7518 section 3.3). */
export const RSA = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" } as const;

export type JsonObject = Readonly<Record<string, unknown>>;

export interface Jws {
  readonly header: JsonObject;
  readonly payload: JsonObject;
  readonly signature: Uint8Array<ArrayBuffer>;
  /** What the signature is over: header and payload as they were written. */
  readonly signed: Uint8Array<ArrayBuffer>;
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function parseObject(bytes: Uint8Array): JsonObject | null {
  try {
    const value: unknown = JSON.parse(decoder.decode(bytes));
    return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : null;
  } catch {
    return null;
  }
}

/** Takes a compact JWS apart; null unless it is canonical base64url of two JSON objects and a signature. */
export function parseJws(token: string): Jws | null {
  const segments = token.split(".");
  if (segments.length !== 3) return null;
  const [headerBytes, payloadBytes, signature] = segments.map(fromBase64Url);
  if (!headerBytes || !payloadBytes || !signature || signature.byteLength === 0) return null;
  const header = parseObject(headerBytes);
  const payload = parseObject(payloadBytes);
  if (header === null || payload === null) return null;
  return { header, payload, signature, signed: utf8(token.slice(0, token.lastIndexOf("."))) };
}

/** Whether the signature is the key's. The caller has checked that the header names {@link SIGNING_ALG}. */
export function verifyJws({ signature, signed }: Jws, key: CryptoKey): Promise<boolean> {
  count("verify");
  return crypto.subtle.verify(RSA.name, key, signature, signed);
}

/** Signs `payload` under a header of {@link SIGNING_ALG}, `typ` and `kid`. */
export async function signJws(payload: JsonObject, typ: string, kid: string, key: CryptoKey): Promise<string> {
  const header = { alg: SIGNING_ALG, typ, kid };
  const signed = `${toBase64Url(utf8(JSON.stringify(header)))}.${toBase64Url(utf8(JSON.stringify(payload)))}`;
  count("sign");
  const signature = await crypto.subtle.sign(RSA.name, key, utf8(signed));
  return `${signed}.${toBase64Url(new Uint8Array(signature))}`;
}
