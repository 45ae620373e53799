/**
 * The doors of cookie sessions, while there are any: `/api/login`, `/api/logout`, the exchange of a session for tokens,
 * the page that explains the change, and what the banner needs.
 */
import { setCookie } from "hono/cookie";
import * as z from "zod/mini";
import type { Accounts } from "../accounts/accounts.ts";
import { hasBody, readJson } from "../kit/body.ts";
import type { Config } from "../kit/config.ts";
import { fail, ok, type Result } from "../kit/result.ts";
import type { Limits } from "../limits/client.ts";
import type { Sessions } from "../sessions/client.ts";
import {
  BANNER_DISMISS_PATH,
  BANNER_STYLE,
  BANNER_STYLE_PATH,
  DISMISSED_COOKIE,
  DISMISSED_SECONDS,
} from "../transition/banner.ts";
import { MIGRATION_PATH, setNotices } from "../transition/sunset.ts";
import type { AccessTokens } from "../tokens/access-token.ts";
import { bodies } from "./auth.ts";
import { deviceOf } from "./client.ts";
import { isTrustedSource } from "./credentials.ts";
import {
  type App,
  endpoint,
  type Handler,
  json,
  jsonWithCookies,
  noContent,
  render,
  type RequestContext,
} from "./endpoint.ts";
import { addressOf, type PasswordGuard } from "./password-guard.ts";
import { createPasswordLogin } from "./password-login.ts";
import { type SessionGuard, sessionCookie } from "./session-guard.ts";
import { createTokenResponse } from "./token-response.ts";

/** How often an exchange starts over because the account was changed while it was under way. */
const EXCHANGE_ATTEMPTS = 2;

/** The body of an exchange. */
export const exchangeBody = z.object({ delivery: bodies.login.shape.delivery });

export interface LegacyDependencies {
  readonly config: Config;
  readonly accounts: Accounts;
  readonly tokens: AccessTokens;
  readonly sessions: Sessions;
  readonly limits: Limits;
  readonly passwords: PasswordGuard;
}

export function legacyDoor(app: App, guard: SessionGuard, dependencies: LegacyDependencies): void {
  const { config, accounts, sessions, limits, passwords } = dependencies;
  const { transition } = guard;
  const passwordLogin = createPasswordLogin(config, accounts, passwords);
  const tokenResponse = createTokenResponse(dependencies.tokens);

  /** Everything about sessions says how long there will be any. */
  const noticed =
    (handler: Handler): Handler =>
    async (c) => {
      const response = render(c, await handler(c));
      setNotices(response.headers, transition.config, c.var.isUpgradable === true);
      return ok(response);
    };

  /** The session cookie, from where it may act. Null when there is none. */
  const shownCookie = (c: RequestContext): Result<string | null> => {
    const cookie = sessionCookie(c.req.raw);
    if (cookie !== null && !isTrustedSource(c.req.raw, config.corsOrigins)) return fail({ code: "csrf_rejected" });
    return ok(cookie);
  };

  const login: Handler = async (c) => {
    if (transition.isOver()) return fail({ code: "session_auth_removed" });
    const body = await readJson(c.req.raw, bodies.register);
    if (!body.ok) return body;
    const opened = await passwordLogin(c, body.value, async (account) => {
      const cookie = await guard.open(c, account);
      if (!cookie.ok) return cookie;
      return ok(cookie.value === null ? null : account);
    });
    if (!opened.ok) return opened;
    const account = opened.value;
    c.set("isUpgradable", await transition.givesTokens(account));
    return ok(jsonWithCookies(c, { user_id: account.id, role: account.role }));
  };

  /** Without a session there is nothing to end, and that is no error: old clients log out twice. */
  const logout: Handler = async (c) => {
    const cookie = shownCookie(c);
    if (!cookie.ok) return cookie;
    if (cookie.value === null) return ok(noContent());
    const ended = await guard.end(c, cookie.value);
    return ended.ok ? ok(c.body(null, 204, { "Cache-Control": "no-store" })) : ended;
  };

  const exchange: Handler = async (c) => {
    const room = await limits.take("exchange", config.limits.auth, addressOf(c));
    if (!room.ok) return room;
    c.set("limit", room.value);
    const cookie = shownCookie(c);
    if (!cookie.ok) return cookie;
    if (cookie.value === null) return fail({ code: transition.isOver() ? "session_auth_removed" : "invalid_session" });
    const body = hasBody(c.req.raw) ? await readJson(c.req.raw, exchangeBody) : ok({ delivery: "body" as const });
    if (!body.ok) return body;
    const visitor = await guard.visitor(c, cookie.value);
    if (!visitor.ok) return visitor;
    const { userId, sessionId, isUpgradable } = visitor.value;
    for (let attempt = 1; attempt <= EXCHANGE_ATTEMPTS; attempt++) {
      const found = await accounts.find(userId);
      if (!found.ok) return found;
      // Whom the rollout has not reached, or taken back, stays on the session, and so does who has no account here yet.
      if (!isUpgradable || found.value === null) {
        return ok(json({ token_type: "Session", expires_in: transition.config.idleSeconds }));
      }
      const { account } = found.value;
      if (account.status === "disabled") return fail({ code: "invalid_session" });
      const issued = await sessions.open(account, deviceOf(c), sessionId);
      if (!issued.ok) return issued;
      if (issued.value === null) continue;
      const noted = await transition.legacy.noteExchange(sessionId);
      if (!noted.ok) return noted;
      transition.figures.count("exchange", "jwt", c.req.header("User-Agent"));
      c.set("isUpgradable", true);
      return tokenResponse(c, issued.value, body.value.delivery);
    }
    return fail({ code: "dependency_unavailable", dependency: "sessions" });
  };

  const migration: Handler = async () => {
    const { sunsetAt } = transition.config;
    const until = sunsetAt === null ? "for the time being" : `until ${new Date(sunsetAt).toUTCString()}`;
    const page = `Cookie sessions are accepted ${until}.

1. Log in at POST /auth/login {"username","password"}: you get access_token (15 minutes) and refresh_token.
   With a session, POST /auth/exchange gives you both without a password.
2. Send the access token with every call: Authorization: Bearer <access_token>.
3. On 401 token_expired: POST /auth/refresh {"refresh_token"}, store the new one, repeat the call.
4. Log out at POST /auth/logout.
`;
    return ok(new Response(page, { headers: { "Content-Type": "text/plain; charset=utf-8" } }));
  };

  const bannerStyle: Handler = async () =>
    ok(
      new Response(BANNER_STYLE, {
        headers: { "Content-Type": "text/css; charset=utf-8", "Cache-Control": "public, max-age=86400" },
      }),
    );

  /** Takes the banner away for a while, and the reader back to the page. */
  const dismissBanner: Handler = async (c) => {
    const origin = URL.parse(c.req.url)?.origin;
    const page = URL.parse(c.req.query("to") ?? "/", origin);
    setCookie(c, DISMISSED_COOKIE, "dismissed", {
      path: "/",
      secure: true,
      sameSite: "Lax",
      maxAge: DISMISSED_SECONDS,
    });
    return ok(c.redirect(page !== null && page.origin === origin ? page.pathname + page.search : "/", 303));
  };

  if (!transition.config.loginAtOrigin) {
    endpoint(app, "/api/login", { POST: noticed(login) });
    endpoint(app, "/api/logout", { POST: noticed(logout) });
  }
  endpoint(app, "/auth/exchange", { POST: noticed(exchange) });
  endpoint(app, MIGRATION_PATH, { GET: migration });
  endpoint(app, BANNER_STYLE_PATH, { GET: bannerStyle });
  endpoint(app, BANNER_DISMISS_PATH, { POST: dismissBanner });
}
