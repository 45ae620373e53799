/**
 * Who a request is from, and the header fields that tell the origin so. The fields are listed once, here: headers.ts
 * writes them, identity-signature.ts signs them, in this order.
 */

/** The authenticated user; null on a public route. */
export type Identity = {
  readonly userId: string;
  readonly role: string;
  readonly sessionId: string;
  /** The credential that was shown: an access token, or a legacy session cookie. */
  readonly method: "jwt" | "session";
} | null;

/** A field name in lower case and its value. */
export type Field = readonly [name: string, value: string];

/** Everything Postern asserts about a request. Without an identity its fields are absent, not empty. */
export function identityFields(identity: Identity, requestId: string): readonly Field[] {
  const request: Field = ["x-request-id", requestId];
  if (identity === null) return [request];
  return [
    ["x-user-id", identity.userId],
    ["x-user-role", identity.role],
    ["x-session-id", identity.sessionId],
    ["x-auth-method", identity.method],
    request,
  ];
}
