/**
 * What a login, a refresh and an exchange answer: the tokens of a session, the refresh token in the body or as a cookie.
 */
import { ok, type Result } from "../kit/result.ts";
import type { IssuedSession } from "../sessions/client.ts";
import type { AccessTokens } from "../tokens/access-token.ts";
import { setRefreshCookie } from "./credentials.ts";
import { jsonWithCookies, type RequestContext } from "./endpoint.ts";

export type Delivery = "body" | "cookie";

export type TokenResponse = (
  c: RequestContext,
  session: IssuedSession,
  delivery: Delivery,
) => Promise<Result<Response>>;

export function createTokenResponse(tokens: AccessTokens): TokenResponse {
  return async (c, session, delivery) => {
    c.set("userId", session.userId);
    const access = await tokens.issue(session, session.accessExpiresInSeconds);
    if (!access.ok) return access;
    if (delivery === "cookie") setRefreshCookie(c, session.refreshToken, session.refreshExpiresInSeconds);
    return ok(
      jsonWithCookies(c, {
        access_token: access.value,
        token_type: "Bearer",
        expires_in: session.accessExpiresInSeconds,
        refresh_token: delivery === "body" ? session.refreshToken : undefined,
        refresh_expires_in: session.refreshExpiresInSeconds,
        session_id: session.sessionId,
      }),
    );
  };
}
