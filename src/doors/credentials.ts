/**
 * What a request shows of itself: bearer token, refresh-token cookie, where it came from. Reading only; whether a
 * credential is any good is decided by the capabilities.
 */
import { deleteCookie, getCookie, setCookie } from "hono/cookie";
import { fail, ok, type Result } from "../kit/result.ts";
import type { Sessions, SessionRef } from "../sessions/client.ts";
import type { AccessTokens } from "../tokens/access-token.ts";
import type { RequestContext } from "./endpoint.ts";

const REFRESH_COOKIE = "refresh_token";

/** Who makes a request, by an access token that is good and a session that is live. */
export interface Caller extends SessionRef {
  /** The role the user has now, not the one in the token. */
  readonly role: string;
}

export interface BearerGuard {
  /** The session of a good token, live or not. Fails with `missing_token`, `invalid_token`, `token_expired`. */
  tokenHolder(c: RequestContext): Promise<Result<SessionRef>>;
  /** The caller; besides, fails with `token_revoked`. */
  caller(c: RequestContext): Promise<Result<Caller>>;
}

/**
 * The bearer token of a request (RFC 6750 section 2.1), or null. Two Authorization fields arrive joined by a comma,
 * which no token contains: that fails with `invalid_request`.
 */
export function bearerToken(request: Request): Result<string | null> {
  const header = request.headers.get("Authorization");
  if (header === null) return ok(null);
  if (header.includes(",")) return fail({ code: "invalid_request", detail: "More than one Authorization value." });
  const [, token] = /^Bearer +(.+)$/i.exec(header) ?? [];
  return ok(token ?? null);
}

export function createBearerGuard(tokens: AccessTokens, sessions: Sessions): BearerGuard {
  const tokenHolder = async (c: RequestContext): Promise<Result<SessionRef>> => {
    const token = bearerToken(c.req.raw);
    if (!token.ok) return token;
    if (token.value === null) return fail({ code: "missing_token" });
    const claims = await tokens.verify(token.value);
    if (claims.ok) c.set("userId", claims.value.userId);
    return claims;
  };
  return {
    tokenHolder,
    async caller(c) {
      const holder = await tokenHolder(c);
      if (!holder.ok) return holder;
      const { userId, sessionId } = holder.value;
      const authorised = await sessions.authorise(holder.value);
      return authorised.ok ? ok({ userId, sessionId, role: authorised.value.role }) : authorised;
    },
  };
}

/** The refresh token in the `__Host-refresh_token` cookie, if any. */
export function refreshCookie(c: RequestContext): string | undefined {
  return getCookie(c, REFRESH_COOKIE, "host");
}

const COOKIE_ATTRIBUTES = { prefix: "host", httpOnly: true, secure: true, sameSite: "Strict", path: "/" } as const;

export function setRefreshCookie(c: RequestContext, token: string, maxAgeSeconds: number): void {
  setCookie(c, REFRESH_COOKIE, token, { ...COOKIE_ATTRIBUTES, maxAge: maxAgeSeconds });
}

export function clearRefreshCookie(c: RequestContext): void {
  deleteCookie(c, REFRESH_COOKIE, COOKIE_ATTRIBUTES);
}

/**
 * Whether a request may act by a cookie the browser added on its own: it comes from the same origin or from one in
 * `corsOrigins`. A request that says nothing of where it comes from is not a browser's (all of them send `Origin` with
 * a POST); against those that never did, SameSite=Strict stands.
 */
export function isTrustedSource(request: Request, corsOrigins: readonly string[]): boolean {
  const origin = request.headers.get("Origin");
  if (origin !== null) return origin === URL.parse(request.url)?.origin || corsOrigins.includes(origin);
  const site = request.headers.get("Sec-Fetch-Site");
  return site === null || site === "same-origin" || site === "none";
}
