// Verifies that a request came through Postern (RFC 9421), with the npm package http-message-signatures.
// express.ts and hono.ts are middleware around it.
import { createHmac, timingSafeEqual } from "node:crypto";
import { httpbis } from "http-message-signatures";

export interface Identity {
  readonly userId: string;
  readonly role: string;
  readonly sessionId: string;
  readonly method: "jwt" | "session";
}

export interface Verified {
  /** Null on a route that Postern lets through without a credential. */
  readonly identity: Identity | null;
  readonly requestId: string;
  /** The same for every replay of this request, and for nothing else: refuse it when seen before. */
  readonly nonce: string;
}

/** Keys by keyid: one, or two while ORIGIN_SECRET is being changed. */
export type Keys = ReadonlyMap<string, Buffer>;

const IDENTITY = ["x-user-id", "x-user-role", "x-session-id", "x-auth-method"];
const covering = (fields: readonly string[]) =>
  `("@method" "@path" "@query" ${fields.map((name) => `"${name}"`).join(" ")})`;
const COVERS_IDENTITY = covering([...IDENTITY, "x-request-id"]);
const COVERS_NO_IDENTITY = covering(["x-request-id"]);
const SIGNATURE_INPUT =
  /^postern=(?<covered>\([^()]*\));created=\d+;expires=\d+;keyid="(?<keyid>[\w.-]{1,64})";alg="hmac-sha256"$/;
const CLOCK_SKEW_SECONDS = 5;

/**
 * @param target path and query exactly as they were received: `/api/users?page=2`
 * @param headers by lower-case name
 * @throws when the request did not come through Postern, or not in the last 60 s
 */
export async function verifyPostern(
  method: string,
  target: string,
  headers: Readonly<Record<string, string>>,
  keys: Keys,
): Promise<Verified> {
  const { covered, keyid } = SIGNATURE_INPUT.exec(headers["signature-input"] ?? "")?.groups ?? {};
  const key = keys.get(keyid ?? "");
  if (key === undefined) throw new Error("not signed with a key that is accepted");

  // A valid signature proves only what it covers: all of the identity, or none of it with no identity header present.
  const hasIdentity = IDENTITY.some((name) => headers[name] !== undefined);
  if (covered !== (hasIdentity ? COVERS_IDENTITY : COVERS_NO_IDENTITY))
    throw new Error("the signature covers too little");

  const valid = await httpbis.verifyMessage(
    {
      tolerance: CLOCK_SKEW_SECONDS,
      keyLookup: () =>
        Promise.resolve({
          algs: ["hmac-sha256"],
          verify: (data, signature) => {
            const expected = createHmac("sha256", key).update(data).digest();
            return Promise.resolve(signature.length === expected.length && timingSafeEqual(signature, expected));
          },
        }),
    },
    // Host and scheme are not signed: any will do to make the URL absolute.
    { method, url: `http://origin${target}`, headers: { ...headers } },
  );
  if (valid !== true) throw new Error("the signature is not valid");

  const { "x-user-id": userId, "x-user-role": role, "x-session-id": sessionId } = headers;
  const { "x-auth-method": by, "x-request-id": requestId = "", signature: nonce = "" } = headers;
  if (userId === undefined || role === undefined || sessionId === undefined)
    return { identity: null, requestId, nonce };
  return { identity: { userId, role, sessionId, method: by === "session" ? "session" : "jwt" }, requestId, nonce };
}
