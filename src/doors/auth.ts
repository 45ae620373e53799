/**
 * `/auth/*`: login, refresh, logout, and what a user may see and change of their own sessions. Parses, asks the
 * capabilities, renders; decides nothing itself.
 */
import * as z from "zod/mini";
import type { Account, Accounts } from "../accounts/accounts.ts";
import { hasBody, readJson } from "../kit/body.ts";
import type { Config, Limit } from "../kit/config.ts";
import { isUuid } from "../kit/encoding.ts";
import { fail, ok, type Result } from "../kit/result.ts";
import type { Limits } from "../limits/client.ts";
import type { SessionRef, Sessions } from "../sessions/client.ts";
import type { AccessTokens } from "../tokens/access-token.ts";
import { type BearerGuard, bearerToken, clearRefreshCookie, isTrustedSource, refreshCookie } from "./credentials.ts";
import { newPassword, passwordText, sessionJson, usernameText } from "./bodies.ts";
import { deviceOf } from "./client.ts";
import { type App, endpoint, type Handler, json, noContent, type RequestContext } from "./endpoint.ts";
import { addressOf, type PasswordGuard } from "./password-guard.ts";
import { createPasswordLogin } from "./password-login.ts";
import { type SessionGuard, sessionCookie } from "./session-guard.ts";
import type { Recorder } from "./record.ts";
import { createTokenResponse, type Delivery } from "./token-response.ts";

const refreshToken = z.string({ error: "must be a string" }).check(z.minLength(1, { error: "must not be empty" }));

/** The bodies the endpoints take. */
export const bodies = {
  login: z.object({
    username: usernameText,
    password: passwordText,
    delivery: z._default(z.enum(["body", "cookie"], { error: "must be body or cookie" }), "body"),
  }),
  refresh: z.object({ refresh_token: refreshToken }),
  logout: z.object({ refresh_token: z.optional(refreshToken) }),
  password: z.object({ current_password: passwordText, new_password: passwordText }),
  register: z.object({ username: usernameText, password: passwordText }),
};

/** A refresh token and the way it came, which is the way its successor goes. */
interface ShownRefreshToken {
  readonly token: string;
  readonly delivery: Delivery;
}

export interface AuthDependencies {
  readonly config: Config;
  readonly accounts: Accounts;
  readonly tokens: AccessTokens;
  readonly sessions: Sessions;
  readonly limits: Limits;
  readonly guard: BearerGuard;
  readonly passwords: PasswordGuard;
  readonly record: Recorder;
  /** Null: there are no cookie sessions. */
  readonly sessionGuard: SessionGuard | null;
}

/** Idempotency-Key: 1 to 255 printable characters (draft-ietf-httpapi-idempotency-key-header). */
function idempotencyKey(c: RequestContext): Result<string | null> {
  const key = c.req.header("Idempotency-Key");
  if (key === undefined) return ok(null);
  if (/^[\x20-\x7e]{1,255}$/.test(key)) return ok(key);
  return fail({ code: "invalid_request", detail: "Idempotency-Key must be 1 to 255 printable ASCII characters." });
}

export function authDoor(app: App, dependencies: AuthDependencies): void {
  const { config, accounts, tokens, sessions, limits, guard, passwords, sessionGuard, record } = dependencies;
  const passwordLogin = createPasswordLogin(config, accounts, passwords);
  const tokenResponse = createTokenResponse(tokens);

  /**
   * Counts the request against its address before `handler` runs. Where a credential that cannot be guessed is asked for
   * anyway, counters that are away let everybody through: they must not keep anyone from logging out.
   */
  const limited =
    (name: string, limit: Limit, handler: Handler): Handler =>
    async (c) => {
      const room = await limits.take(name, limit, addressOf(c));
      if (room.ok) c.set("limit", room.value);
      else if (room.failure.code !== "dependency_unavailable") return room;
      return handler(c);
    };
  const auth = (name: string, handler: Handler): Handler => limited(name, config.limits.auth, handler);

  /** The refresh token in the body or, if there is none, in the cookie. Fails with `csrf_rejected`. */
  const shownRefreshToken = async (c: RequestContext): Promise<Result<ShownRefreshToken | null>> => {
    const cookie = refreshCookie(c);
    if (hasBody(c.req.raw)) {
      const body = await readJson(c.req.raw, cookie === undefined ? bodies.refresh : bodies.logout);
      if (!body.ok) return body;
      const token = body.value.refresh_token;
      if (token !== undefined) return ok({ token, delivery: "body" });
    }
    if (cookie === undefined) return ok(null);
    if (!isTrustedSource(c.req.raw, config.corsOrigins)) return fail({ code: "csrf_rejected" });
    return ok({ token: cookie, delivery: "cookie" });
  };

  const login: Handler = async (c) => {
    const body = await readJson(c.req.raw, bodies.login);
    if (!body.ok) return body;
    const { delivery, ...guess } = body.value;
    return passwordLogin(c, guess, async (account) => {
      if (sessionGuard !== null && !(await sessionGuard.transition.givesTokens(account))) {
        return sessionGuard.login(c, account);
      }
      const session = await sessions.open(account, deviceOf(c));
      if (!session.ok || session.value === null) return session.ok ? ok(null) : session;
      sessionGuard?.transition.figures.count("login", "jwt", c.req.header("User-Agent"));
      record(c, { event: "login.succeeded", userId: account.id, sessionId: session.value.sessionId });
      return tokenResponse(c, session.value, delivery);
    });
  };

  const refresh: Handler = async (c) => {
    const key = idempotencyKey(c);
    if (!key.ok) return key;
    const shown = await shownRefreshToken(c);
    if (!shown.ok) return shown;
    if (shown.value === null) return fail({ code: "missing_token" });
    const session = await sessions.refresh(shown.value.token, key.value);
    if (!session.ok) {
      const family =
        session.failure.code === "refresh_token_reused" ? await sessions.identify(shown.value.token) : null;
      if (family !== null) record(c, { event: "refresh.reused", ...family });
      return session;
    }
    c.header("Postern-Refresh", session.value.outcome);
    return tokenResponse(c, session.value, shown.value.delivery);
  };

  /** Every credential shown ends its session; one good one is enough, since an expired token beside it is the usual case. */
  const logout: Handler = async (c) => {
    const bearer = bearerToken(c.req.raw);
    if (!bearer.ok) return bearer;
    const shown = await shownRefreshToken(c);
    if (!shown.ok) return shown;
    if (bearer.value === null && shown.value === null) return fail({ code: "missing_token" });

    const holder = bearer.value === null ? null : await guard.tokenHolder(c);
    const identified = shown.value === null ? null : await sessions.identify(shown.value.token);
    const refs: SessionRef[] = [];
    if (holder?.ok) refs.push(holder.value);
    if (identified !== null && !refs.some((ref) => ref.sessionId === identified.sessionId)) refs.push(identified);
    if (refs.length === 0) return holder?.ok === false ? holder : fail({ code: "invalid_refresh_token" });

    for (const ref of refs) {
      const ended = await sessions.end(ref);
      if (!ended.ok) return ended;
      record(c, { event: "logout", userId: ref.userId, sessionId: ref.sessionId });
    }
    // A session cookie beside it would leave the browser logged in.
    const cookie = sessionCookie(c.req.raw);
    if (sessionGuard !== null && cookie !== null && isTrustedSource(c.req.raw, config.corsOrigins)) {
      const ended = await sessionGuard.end(c, cookie);
      if (!ended.ok) return ended;
    }
    clearRefreshCookie(c);
    return ok(c.body(null, 204, { "Cache-Control": "no-store" }));
  };

  const logoutAll: Handler = async (c) => {
    const caller = await guard.caller(c);
    if (!caller.ok) return caller;
    const ended = await sessions.endAll(caller.value.userId);
    if (!ended.ok) return ended;
    record(c, { event: "logout.all", userId: caller.value.userId });
    clearRefreshCookie(c);
    return ok(c.body(null, 204, { "Cache-Control": "no-store" }));
  };

  const listSessions: Handler = async (c) => {
    const caller = await guard.caller(c);
    if (!caller.ok) return caller;
    const listed = await sessions.list(caller.value.userId);
    if (!listed.ok) return listed;
    return ok(
      json({
        sessions: listed.value.map((session) =>
          Object.assign(sessionJson(session), { current: session.id === caller.value.sessionId }),
        ),
      }),
    );
  };

  const endSession: Handler = async (c) => {
    const caller = await guard.caller(c);
    if (!caller.ok) return caller;
    const sessionId = c.req.param("id") ?? "";
    if (!isUuid(sessionId)) return fail({ code: "not_found" });
    const { userId } = caller.value;
    const ended = await sessions.end({ userId, sessionId });
    if (!ended.ok) return ended;
    if (!ended.value) return fail({ code: "not_found" });
    record(c, { event: "session.ended", userId, sessionId });
    return ok(noContent());
  };

  const me: Handler = async (c) => {
    const caller = await guard.caller(c);
    if (!caller.ok) return caller;
    const found = await accounts.find(caller.value.userId);
    if (!found.ok) return found;
    if (found.value === null) return fail({ code: "token_revoked" });
    const { userId, role } = caller.value;
    return ok(json({ user_id: userId, username: found.value.account.username, role }));
  };

  const changePassword: Handler = async (c) => {
    const caller = await guard.caller(c);
    if (!caller.ok) return caller;
    const body = await readJson(c.req.raw, bodies.password);
    if (!body.ok) return body;
    const { userId, sessionId } = caller.value;
    const found = await accounts.find(userId);
    if (!found.ok) return found;
    if (found.value === null) return fail({ code: "invalid_credentials" });
    const account = await passwords.confirm(c, found.value, body.value.current_password);
    if (!account.ok) return account;
    const strong = newPassword(body.value.new_password, account.value.username, config);
    if (!strong.ok) return strong;
    const revision = await accounts.changePassword(found.value, body.value.new_password);
    if (!revision.ok) return revision;
    // Somebody else changed it between our reading and our writing: what was shown is no longer the current password.
    if (revision.value === null) return fail({ code: "invalid_credentials" });
    // First that logins begun with the old password come too late, then that what they opened earlier ends.
    const changed: Account = { ...account.value, revision: revision.value };
    const noted = await sessions.noteAccount(userId, changed);
    if (!noted.ok) return noted;
    const ended = await sessions.endAll(userId, sessionId);
    if (!ended.ok) return ended;
    record(c, { event: "password.changed", userId });
    return ok(noContent());
  };

  const register: Handler = async (c) => {
    const room = await limits.takeWide("register", config.limits.auth, addressOf(c));
    if (!room.ok) return room;
    c.set("limit", room.value);
    if (!config.registrationOpen) return fail({ code: "registration_closed" });
    const body = await readJson(c.req.raw, bodies.register);
    if (!body.ok) return body;
    const strong = newPassword(body.value.password, body.value.username, config);
    if (!strong.ok) return strong;
    const created = await accounts.create(body.value.username, body.value.password);
    if (!created.ok) return created;
    record(c, { event: "user.registered", userId: created.value.id });
    return ok(json({ user_id: created.value.id }, 201));
  };

  endpoint(app, "/auth/login", { POST: login });
  endpoint(app, "/auth/refresh", { POST: limited("refresh", config.limits.refresh, refresh) });
  endpoint(app, "/auth/logout", { POST: auth("logout", logout) });
  endpoint(app, "/auth/logout/all", { POST: auth("logout-all", logoutAll) });
  endpoint(app, "/auth/sessions", { GET: auth("sessions", listSessions) });
  endpoint(app, "/auth/sessions/:id", { DELETE: auth("sessions-end", endSession) });
  endpoint(app, "/auth/me", { GET: auth("me", me) });
  endpoint(app, "/auth/password", { POST: auth("password", changePassword) });
  endpoint(app, "/auth/register", { POST: register });
}
