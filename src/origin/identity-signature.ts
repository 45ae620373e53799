/**
 * The proof of who wrote the identity headers: an HTTP Message Signature (RFC 9421) with HMAC-SHA-256 over method, path,
 * query and every field of identity.ts. It only signs: verifying is the origin's part, with a library of its language
 * (docs/origin.md). The body is not covered.
 */
import { utf8 } from "../kit/encoding.ts";
import { once } from "../kit/shared.ts";
import type { Field } from "./identity.ts";

/** How long a signature is valid. It bounds how long a recorded request could be replayed to the origin. */
export const SIGNATURE_LIFETIME_SECONDS = 60;

/** The parts of a request that are signed, exactly as they go to the origin. */
export interface SignedMessage {
  readonly method: string;
  /** As sent, in absolute form: begins with `/`. */
  readonly path: string;
  /** As sent, with its leading `?`; empty when absent. */
  readonly query: string;
  readonly fields: readonly Field[];
}

export interface SignatureFields {
  readonly signatureInput: string;
  readonly signature: string;
}

export interface IdentitySigner {
  /** @param now milliseconds since 1970 */
  sign(message: SignedMessage, now: number): Promise<SignatureFields>;
}

/** A Structured Fields string (RFC 9651 section 3.3.3); the names and key ids here hold no `"` and no `\`. */
function quoted(name: string): string {
  return `"${name}"`;
}

/** The signature base (RFC 9421 section 2.5). An absent query is `?` (section 2.2.7). */
function signatureBase({ method, path, query, fields }: SignedMessage, parameters: string): string {
  return [
    `"@method": ${method}`,
    `"@path": ${path}`,
    `"@query": ${query === "" ? "?" : query}`,
    ...fields.map(([name, value]) => `${quoted(name)}: ${value}`),
    `"@signature-params": ${parameters}`,
  ].join("\n");
}

/**
 * Returns the signer; the key is imported once.
 * @param secret the decoded `ORIGIN_SECRET`
 * @param keyId `ORIGIN_KEY_ID`: tells the origin which of the keys it accepts was used
 */
export function createIdentitySigner(secret: Uint8Array<ArrayBuffer>, keyId: string): IdentitySigner {
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const key = once(() => crypto.subtle.importKey("raw", secret, algorithm, false, ["sign"]));
  return {
    async sign(message, now) {
      const created = Math.floor(now / 1000);
      const components = ["@method", "@path", "@query", ...message.fields.map(([name]) => name)].map(quoted).join(" ");
      const parameters = `(${components});created=${created};expires=${created + SIGNATURE_LIFETIME_SECONDS};keyid="${keyId}";alg="hmac-sha256"`;
      const signed = await crypto.subtle.sign(algorithm, await key(), utf8(signatureBase(message, parameters)));
      return {
        signatureInput: `postern=${parameters}`,
        signature: `postern=:${btoa(String.fromCharCode(...new Uint8Array(signed)))}:`,
      };
    },
  };
}
