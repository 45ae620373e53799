/**
 * Session cookies: whose one is, whether the session is live, opening and ending them. Postern's own, and those that the
 * existing application made. The answer is exact in the way that of an access token is: the same objects are asked, by
 * the same leases.
 */
import { deleteCookie, setCookie } from "hono/cookie";
import type { Account } from "../accounts/accounts.ts";
import { uuidV7 } from "../kit/encoding.ts";
import { fail, ok, type Result } from "../kit/result.ts";
import type { Runtime } from "../kit/runtime.ts";
import type { Sessions } from "../sessions/client.ts";
import { setNotices } from "../transition/sunset.ts";
import type { Transition } from "../transition/transition.ts";
import { deviceOf } from "./client.ts";
import type { Caller } from "./credentials.ts";
import { jsonWithCookies, type RequestContext } from "./endpoint.ts";
import type { Recorder } from "./record.ts";

const SESSION_COOKIE = "session_id";
/** Lax, as the cookies were that this replaces: links from elsewhere find their user logged in. */
const ATTRIBUTES = { httpOnly: true, secure: true, sameSite: "Lax", path: "/" } as const;
/** A session of the application ends when the application says so. */
const FOREVER_MS = 100 * 365 * 86_400_000;

/** Who makes a request, by a session that is live. */
export interface Visitor extends Caller {
  /** Whether tokens can be had for the session now. */
  readonly isUpgradable: boolean;
}

export interface SessionGuard {
  readonly transition: Transition;
  /**
   * The visitor a session cookie stands for. Fails with `invalid_session`, `session_expired`, `session_auth_removed`,
   * and with `dependency_unavailable` when there is nobody to ask.
   */
  visitor(c: RequestContext, cookie: string): Promise<Result<Visitor>>;
  /** Opens a session for an account and sets its cookie; null when the account was changed since it was read. */
  open(c: RequestContext, account: Account): Promise<Result<string | null>>;
  /** Ends the session of a cookie, if there is one, and takes the cookie away. */
  end(c: RequestContext, cookie: string): Promise<Result<void>>;
  /** Opens a session, as {@link open}, and answers a login that is worth no tokens. */
  login(c: RequestContext, account: Account): Promise<Result<Response | null>>;
}

/** The session cookie of a request as it came: an application may have encoded it in its own way. */
export function sessionCookie(request: Request): string | null {
  const [, cookie] = /(?:^|[;,])[ \t]*session_id=([^;,]*)/.exec(request.headers.get("Cookie") ?? "") ?? [];
  return cookie?.trim() || null;
}

export function createSessionGuard(
  transition: Transition,
  sessions: Sessions,
  record: Recorder,
  runtime: Runtime,
): SessionGuard {
  const { config, legacy, existing, isOver, givesTokens } = transition;
  const maxMs = config.maxSeconds * 1000;
  const own = { idleMs: config.idleSeconds * 1000, maxMs };
  /** Remembered for as long as one of ours at the most: so long what was ended here stays ended. */
  const foreign = { idleMs: maxMs, maxMs: FOREVER_MS };

  const visitorOf = async (c: RequestContext, caller: Caller, username: string | null): Promise<Result<Visitor>> => {
    c.set("userId", caller.userId);
    const isUpgradable = await givesTokens({ id: caller.userId, username, role: caller.role });
    return ok({ ...caller, isUpgradable });
  };

  /** The visitor by a session of the existing application, which the user's object gets to know at first sight. */
  const existingVisitor = async (c: RequestContext, cookie: string): Promise<Result<Visitor>> => {
    const found = existing === null ? ok(null) : await existing.find(cookie, c.var.requestId);
    if (!found.ok) return found;
    if (found.value === null) return fail({ code: "invalid_session" });
    const { userId, sessionId, account, isLocal } = found.value;
    const visited = { sessionId, ...foreign };
    let live = await sessions.visit(userId, visited);
    if (live.ok && live.value === null && account.status === "active") {
      const adopted = await sessions.openVisited(account, deviceOf(c), visited, true);
      if (!adopted.ok) return adopted;
      const recorded = await legacy.adopt(cookie, userId, sessionId);
      if (!recorded.ok) return recorded;
      live = await sessions.visit(userId, visited);
    }
    if (!live.ok) return live;
    if (live.value === null) return fail({ code: "invalid_session" });
    return visitorOf(c, { userId, sessionId, role: isLocal ? live.value.role : account.role }, account.username);
  };

  const find = async (c: RequestContext, cookie: string): Promise<Result<Visitor>> => {
    const found = await legacy.find(cookie);
    if (!found.ok) return found;
    if (found.value === null) return existingVisitor(c, cookie);
    const { userId, sessionId, username, expiresAt } = found.value;
    if (runtime.now() >= expiresAt) return fail({ code: "session_expired" });
    const live = await sessions.visit(userId, { sessionId, ...own });
    if (!live.ok) return live;
    if (live.value === null) return fail({ code: "session_expired" });
    return visitorOf(c, { userId, sessionId, role: live.value.role }, username);
  };

  const open = async (c: RequestContext, account: Account): Promise<Result<string | null>> => {
    const sessionId = uuidV7(runtime.now(), runtime.randomBytes(10));
    const opened = await sessions.openVisited(account, deviceOf(c), { sessionId, ...own });
    if (!opened.ok || !opened.value) return opened.ok ? ok(null) : opened;
    const cookie = await legacy.create(account.id, sessionId);
    if (!cookie.ok) return cookie;
    transition.figures.count("login", "session", c.req.header("User-Agent"));
    record(c, { event: "login.succeeded", userId: account.id, sessionId });
    setCookie(c, SESSION_COOKIE, cookie.value, { ...ATTRIBUTES, maxAge: config.maxSeconds });
    return cookie;
  };

  return {
    transition,

    visitor: async (c, cookie) => (isOver() ? fail({ code: "session_auth_removed" }) : find(c, cookie)),

    open,

    async login(c, account) {
      const cookie = await open(c, account);
      if (!cookie.ok || cookie.value === null) return cookie.ok ? ok(null) : cookie;
      const body = { token_type: "Session", expires_in: config.idleSeconds };
      const response = jsonWithCookies(c, body);
      setNotices(response.headers, config, false);
      return ok(response);
    },

    async end(c, cookie) {
      // After the sunset too: the date may yet be put off.
      const visitor = await find(c, cookie);
      if (!visitor.ok && visitor.failure.code === "dependency_unavailable") return visitor;
      if (visitor.ok) {
        const ended = await sessions.end(visitor.value);
        if (!ended.ok) return ended;
        const removed = await legacy.remove(visitor.value.sessionId);
        if (!removed.ok) return removed;
        record(c, { event: "logout", userId: visitor.value.userId, sessionId: visitor.value.sessionId });
      }
      deleteCookie(c, SESSION_COOKIE, ATTRIBUTES);
      return ok(undefined);
    },
  };
}
