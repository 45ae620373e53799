/**
 * Header hygiene, one pass each way: what the origin reads in a header was either sent by the client for the origin, or
 * written here. This is the only place that decides which fields cross; signing what it writes is identity-signature.ts.
 *
 * Names are compared as a CGI-style origin sees them, where everything that is neither letter nor digit is the same
 * character: `X_User_Id` and `x.user.id` are `x-user-id`.
 */
import { identityFields, type Identity } from "./identity.ts";

/** Fields of one connection (RFC 9110 section 7.6.1), credentials for a proxy, and HTTP/2 upgrade (RFC 9113 section 3.1). */
const HOP_BY_HOP = [
  "connection",
  "http2-settings",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authentication-info",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
] as const;

/** What Postern asserts, and what only looks like it. `x-user-*` and `x-forwarded-*` come on top. */
const ASSERTED = ["x-session-id", "x-auth-method"] as const;

/** What the client may not tell the origin. */
const NOT_FROM_CLIENT: ReadonlySet<string> = new Set([
  ...HOP_BY_HOP,
  ...ASSERTED,
  "x-request-id",
  "forwarded",
  "x-forwarded",
  "x-real-ip",
  "true-client-ip",
  "x-client-ip",
  "x-cluster-client-ip",
  "signature",
  "signature-input",
  // Frameworks that route by one of these would be on another route than the one that was matched.
  "x-original-url",
  "x-rewrite-url",
  "x-http-method",
  "x-http-method-override",
  "x-method-override",
  // They pin or override versions of Workers, the origin's included.
  "cloudflare-workers-version-key",
  "cloudflare-workers-version-overrides",
  // The runtime writes its own for the connection it opens.
  "host",
]);

/** What an origin that echoes its request may not tell the client. */
const NOT_FROM_ORIGIN: ReadonlySet<string> = new Set([...HOP_BY_HOP, ...ASSERTED, "x-request-id"]);

const ASSERTED_PREFIX = /^x-(?:user|forwarded)-/;
const NEEDS_NORMALISING = /[^a-z0-9-]/;

/** The name as every other spelling of it; `name` is in lower case, as iteration over Headers gives it. */
function normaliseName(name: string): string {
  return NEEDS_NORMALISING.test(name) ? name.replace(/[^a-z0-9-]/g, "-") : name;
}

/** Removes the fields in `removed`, those asserted by prefix, and those that `Connection` names. */
function strip(headers: Headers, removed: ReadonlySet<string>): void {
  const connection = headers.get("connection");
  // A list, since deleting moves the live iterator on.
  for (const name of Array.from(headers.keys())) {
    const normal = normaliseName(name);
    if (removed.has(normal) || ASSERTED_PREFIX.test(normal)) headers.delete(name);
  }
  if (connection !== null) {
    // Names only: an option that is no field name, `close` for one, is nothing to remove.
    for (const [name] of connection.matchAll(/[\w!#$%&'*+.^`|~-]+/g)) headers.delete(name);
  }
}

/**
 * Postern's cookies: the refresh token, its prefix in any case as RFC 6265bis section 4.1.3 has it, and the legacy
 * session. They may follow a comma too: the runtime joins two Cookie fields with ", ".
 */
const OWN_COOKIE = /(?:^[ \t]*|;[ \t]*|, )(?:__[Hh][Oo][Ss][Tt]-refresh_token|session_id)[ \t]*=[^;,]*/g;
const OWN_SET_COOKIE = /^[ \t]*(?:__[Hh][Oo][Ss][Tt]-refresh_token|session_id)[ \t]*=/;
/** The same without the session, where the application makes sessions of that name itself. */
const REFRESH_COOKIE = /(?:^[ \t]*|;[ \t]*|, )__[Hh][Oo][Ss][Tt]-refresh_token[ \t]*=[^;,]*/g;
const REFRESH_SET_COOKIE = /^[ \t]*__[Hh][Oo][Ss][Tt]-refresh_token[ \t]*=/;

/** Takes Postern's cookies out of a Cookie field; the others keep their bytes. Null when none is left. */
export function withoutOwnCookies(cookie: string, keepSession = false): string | null {
  const rest = cookie.replace(keepSession ? REFRESH_COOKIE : OWN_COOKIE, "");
  if (rest === cookie) return cookie;
  const others = rest.replace(/^[;, \t]+/, "");
  return others === "" ? null : others;
}

/** What Postern knows of a request and tells the origin. */
export interface RequestFacts {
  readonly identity: Identity;
  readonly requestId: string;
  /** The client's address, as the edge reports it. */
  readonly clientAddress: string;
  /** Scheme and host the client addressed: `https`, `api.example.com`. */
  readonly scheme: string;
  readonly host: string;
}

/** Whether the client asks for a WebSocket (RFC 6455 section 4.1), the one upgrade that passes. */
function isWebSocketUpgrade(headers: Headers): boolean {
  return headers.get("upgrade")?.trim().toLowerCase() === "websocket";
}

/**
 * Turns the headers of the client's request, copied, into those for the origin. In place: a second copy would cost more
 * than all the rest.
 * @param keepAuthorization whether the client's Authorization passes, for origins that verify the token themselves
 * @param keepSession whether the session cookie passes, for origins that make sessions themselves
 */
export function rewriteRequestHeaders(
  headers: Headers,
  facts: RequestFacts,
  keepAuthorization: boolean,
  keepSession = false,
): void {
  const isUpgrade = isWebSocketUpgrade(headers);
  strip(headers, NOT_FROM_CLIENT);
  if (!keepAuthorization) headers.delete("authorization");

  const cookie = headers.get("cookie");
  if (cookie !== null) {
    const others = withoutOwnCookies(cookie, keepSession);
    if (others === null) headers.delete("cookie");
    else if (others !== cookie) headers.set("cookie", others);
  }

  // Written last: nothing the client names in Connection can take it away again.
  if (isUpgrade) headers.set("upgrade", "websocket");
  for (const [name, value] of identityFields(facts.identity, facts.requestId)) headers.set(name, value);
  headers.set("x-forwarded-for", facts.clientAddress);
  headers.set("x-forwarded-proto", facts.scheme);
  headers.set("x-forwarded-host", facts.host);
  // RFC 9110 section 7.6.3. Whatever version the client speaks to the edge, a Worker receives HTTP/1.1.
  headers.append("via", "1.1 postern");
}

/** The label under which Postern signs; a signature of the origin's own has another and passes. */
const OWN_SIGNATURE = /(?:^|,)[ \t]*postern[ \t]*=/;

/** Turns the headers of the origin's response, copied, into those for the client. */
export function rewriteResponseHeaders(headers: Headers, keepSession = false): void {
  strip(headers, NOT_FROM_ORIGIN);
  const signatureInput = headers.get("signature-input");
  if (signatureInput !== null && OWN_SIGNATURE.test(signatureInput)) {
    headers.delete("signature-input");
    headers.delete("signature");
  }
  const own = keepSession ? REFRESH_SET_COOKIE : OWN_SET_COOKIE;
  const cookies = headers.getSetCookie();
  if (cookies.some((cookie) => own.test(cookie))) {
    headers.delete("set-cookie");
    for (const cookie of cookies) if (!own.test(cookie)) headers.append("set-cookie", cookie);
  }
}
