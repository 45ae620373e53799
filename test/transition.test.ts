// The way out of cookie sessions, as its clients see it.
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, test, vi } from "vitest";
import type { UserSessions } from "../src/sessions/object.ts";
import {
  cookieOf,
  counting,
  createUser,
  Edge,
  loggedIn,
  type Overrides,
  PASSWORD,
  problemOf,
  type RequestOptions,
  type TokenResponse,
} from "./support.ts";

const SUNSET = "2027-03-31";
const ON = { SESSION_AUTH: "on", SESSION_SUNSET: SUNSET, TRANSITION_FLUSH_SECONDS: "0" };
const SAME_ORIGIN = { Origin: "http://127.0.0.1:8787" };
const DAY_MS = 86_400_000;

const edgeWith = (overrides: Overrides = {}) => new Edge({ ...ON, ...overrides });
const edge = edgeWith();

/** A user with a session made by `POST /api/login`. */
async function onSession(at: Edge = edge, role = "user") {
  const user = await createUser({ role });
  const response = await at.fetch("/api/login", { json: { username: user.username, password: PASSWORD } });
  return { ...user, response, cookie: `session_id=${cookieOf(response, "session_id")}` };
}

const withCookie = (at: Edge, cookie: string, path = "/api/users", options: RequestOptions = {}) =>
  at.fetch(path, { ...options, headers: { Cookie: cookie, ...options.headers } });

const exchange = (at: Edge, cookie: string, options: RequestOptions = {}) =>
  withCookie(at, cookie, "/auth/exchange", { method: "POST", ...options });

const codeOf = async (response: Response) => (await problemOf(response)).code;

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

describe("POST /api/login", () => {
  test("answers user and role, and sets the session cookie", async () => {
    const { id, response } = await onSession();
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({ user_id: id, role: "user" });
    const [cookie = ""] = response.headers.getSetCookie();
    expect(cookie).toMatch(/^session_id=[A-Za-z0-9_-]{43};/);
    for (const attribute of ["HttpOnly", "Secure", "SameSite=Lax", "Path=/", "Max-Age=7776000"]) {
      expect(cookie).toContain(attribute);
    }
    expect(response.headers.get("Cache-Control")).toBe("no-store");
    expect(response.headers.get("Content-Type")).toBe("application/json; charset=utf-8");
    expect(response.headers.get("RateLimit-Policy")).toBe('"login";q=10;w=60');
  });

  test("shares the limit of /auth/login, and refuses as it does", async () => {
    const address = "198.51.100.77";
    const user = await createUser();
    const guess = { json: { username: user.username, password: "not the password at all" }, address };
    const wrong = await edge.fetch("/api/login", guess);
    expect(wrong.status).toBe(401);
    expect(await codeOf(wrong)).toBe("invalid_credentials");
    expect(wrong.headers.get("Deprecation")).toMatch(/^@\d+$/);
    const next = await edge.fetch("/auth/login", guess);
    expect(next.headers.get("RateLimit")).toContain("r=");
    expect(Number(/r=(\d+)/.exec(next.headers.get("RateLimit") ?? "")?.[1])).toBeLessThan(9);
  });

  test("stores nothing from which the cookie could be made", async () => {
    const { id, cookie } = await onSession();
    const row = await env.DB.prepare("SELECT * FROM legacy_sessions WHERE user_id = ?").bind(id).first();
    expect(JSON.stringify(row)).not.toContain(cookie.slice("session_id=".length));
    expect(row).toMatchObject({ id_hash: expect.stringMatching(/^[0-9a-f]{64}$/), maker: "postern" });
  });

  test("is not ours where there are no sessions", async () => {
    const off = new Edge();
    expect(await codeOf(await off.fetch("/api/login", { json: {} }))).toBe("missing_token");
    const { cookie } = await onSession();
    expect(await codeOf(await withCookie(off, cookie))).toBe("missing_token");
    expect((await exchange(off, cookie)).status).toBe(404);
  });

  test("can be left to the application", async () => {
    const left = edgeWith({
      SESSION_LOGIN: "origin",
      ROUTES: '[{"path":"/api/login","public":true},{"path":"/api/*"}]',
    });
    expect(await (await left.fetch("/api/login", { json: {} })).json()).toMatchObject({ error: "not_found" });
  });
});

describe("a session cookie at the gateway", () => {
  test("is accepted, and the origin is told who, by which method", async () => {
    const { id, cookie } = await onSession();
    const echo = await (await withCookie(edge, cookie, "/api/echo")).json<{ headers: Record<string, string> }>();
    expect(echo.headers).toMatchObject({ "x-user-id": id, "x-user-role": "user", "x-auth-method": "session" });
    expect(echo.headers).not.toHaveProperty("cookie");
    expect(echo.headers["signature-input"]).toContain('"x-auth-method"');
  });

  test("gives way to a bearer token", async () => {
    const { cookie } = await onSession();
    const { id, tokens } = await loggedIn(edge);
    const response = await withCookie(edge, cookie, "/api/echo", { bearer: tokens.access_token });
    expect((await response.json<{ headers: Record<string, string> }>()).headers).toMatchObject({
      "x-user-id": id,
      "x-auth-method": "jwt",
    });
    expect(response.headers.has("Deprecation")).toBe(false);
    expect(await codeOf(await withCookie(edge, cookie, "/api/users", { bearer: "a.b.c" }))).toBe("invalid_token");
    const two = { headers: { Authorization: "Basic eDp5, Bearer a.b.c" } };
    expect(await codeOf(await withCookie(edge, cookie, "/api/users", two))).toBe("invalid_request");
    const basic = { headers: { Authorization: "Basic eDp5" } };
    expect((await withCookie(edge, cookie, "/api/users", basic)).status).toBe(200);
  });

  test("acts from the same origin only, where something may change", async () => {
    const { cookie } = await onSession();
    const post = (headers: Record<string, string>) =>
      withCookie(edge, cookie, "/api/echo", { method: "POST", body: "x", headers });
    const rejected = await post({ Origin: "https://evil.example" });
    expect(rejected.status).toBe(403);
    expect(await codeOf(rejected)).toBe("csrf_rejected");
    expect((await post({ "Sec-Fetch-Site": "same-site" })).status).toBe(403);
    expect((await post(SAME_ORIGIN)).status).toBe(200);
    expect((await post({})).status).toBe(200);
    const evil = { Origin: "https://evil.example" };
    expect((await withCookie(edge, cookie, "/api/echo", { headers: evil })).status).toBe(200);
    expect((await withCookie(edge, cookie, "/api/ws", { headers: { ...evil, Upgrade: "websocket" } })).status).toBe(
      403,
    );
    expect(
      (await withCookie(edge, cookie, "/api/ws", { headers: { ...SAME_ORIGIN, Upgrade: "websocket" } })).status,
    ).toBe(101);
  });

  test("is bound by the roles a route asks for", async () => {
    const routed = edgeWith({ ROUTES: '[{"path":"/api/*","roles":["admin"]}]' });
    const { cookie } = await onSession(routed);
    const refused = await withCookie(routed, cookie);
    expect(await codeOf(refused)).toBe("insufficient_role");
    expect(refused.headers.get("Sunset")).not.toBeNull();
    const admin = await onSession(routed, "admin");
    expect((await withCookie(routed, admin.cookie)).status).toBe(200);
  });

  test.each(["", "short", "x".repeat(43), "x".repeat(5000), "a b"])(
    "that nobody made is refused: %.20s",
    async (value) => {
      const response = await withCookie(edge, `session_id=${value}`);
      expect(response.status).toBe(401);
      expect(await codeOf(response)).toBe(value === "" ? "missing_token" : "invalid_session");
      expect(response.headers.get("WWW-Authenticate")).toBe('Bearer realm="postern"');
    },
  );

  test("costs one database read per isolate and one call of the object per lease", async () => {
    const objects = counting(env.USER_SESSIONS, ["getByName"]);
    const database = counting(env.DB, ["prepare", "withSession", "batch", "exec"]);
    const { cookie } = await onSession();
    const own = edgeWith({ USER_SESSIONS: objects.proxy, DB: database.proxy, TRANSITION_FLUSH_SECONDS: "20" });
    await withCookie(own, cookie);
    for (let i = 0; i < 20; i++) expect((await withCookie(own, cookie)).status).toBe(200);
    expect([objects.calls(), database.calls()]).toEqual([1, 1]);
    const unknown = `session_id=${"x".repeat(43)}`;
    for (let i = 0; i < 5; i++) await withCookie(own, unknown);
    expect([objects.calls(), database.calls()]).toEqual([1, 2]);
  });

  test("fails closed when the database or the objects are away", async () => {
    const { cookie } = await onSession();
    const broken = () => {
      throw new Error("away");
    };
    vi.spyOn(console, "error").mockImplementation(() => undefined);
    for (const overrides of [{ DB: { withSession: broken } }, { USER_SESSIONS: { getByName: broken } }]) {
      const away = edgeWith(overrides);
      expect((await withCookie(away, cookie)).status).toBe(503);
      expect((await withCookie(away, cookie, "/api/logout", { method: "POST" })).status).toBe(503);
      expect((await exchange(away, cookie)).status).toBe(503);
    }
  });
});

describe("when a write fails", () => {
  const away = (): never => {
    throw new Error("away");
  };
  /** Reads pass, writes do not. */
  const readOnly = () => edgeWith({ DB: { prepare: away, withSession: () => env.DB.withSession("first-primary") } });
  type Methods = Partial<Pick<UserSessions, "open" | "visit" | "revoke">>;
  /** The user's objects, with some methods replaced. */
  const objects = (replaced: (stub: DurableObjectStub<UserSessions>) => { [M in keyof Methods]: unknown }) => ({
    getByName(name: string) {
      const stub = env.USER_SESSIONS.getByName(name);
      const methods = {
        open: (request: Parameters<UserSessions["open"]>[0]) => stub.open(request),
        visit: (...message: Parameters<UserSessions["visit"]>) => stub.visit(...message),
        revoke: (...message: Parameters<UserSessions["revoke"]>) => stub.revoke(...message),
      };
      return { ...methods, ...replaced(stub) };
    },
  });
  const objectsWithout = (method: "open" | "revoke") =>
    edgeWith({ USER_SESSIONS: objects(() => ({ [method]: away })) });

  test("no login, logout or exchange claims to have happened", async () => {
    vi.spyOn(console, "error").mockImplementation(() => undefined);
    const { username, cookie } = await onSession();
    const login = { json: { username, password: PASSWORD } };
    const post = { method: "POST" };
    const { tokens } = await loggedIn(edge);
    const responses = [
      await readOnly().fetch("/api/login", login),
      await objectsWithout("open").fetch("/api/login", login),
      await edgeWith({ JWT_ROLLOUT_PERCENT: "0", USER_SESSIONS: { getByName: away } }).login(username),
      await exchange(readOnly(), cookie),
      await exchange(objectsWithout("open"), cookie),
      await withCookie(objectsWithout("revoke"), cookie, "/api/logout", post),
      await withCookie(readOnly(), cookie, "/auth/logout", { ...post, bearer: tokens.access_token }),
    ];
    expect(responses.map(({ status }) => status)).toEqual(Array(responses.length).fill(503));
    expect(responses.flatMap(({ headers }) => headers.getSetCookie())).toEqual([]);
  });

  test("is one thing, a change of the account in the middle of a login another: the login starts over", async () => {
    const { id, username } = await createUser();
    const holder = { isolate: "the admin's edge", leaseMs: 0 };
    const account = { role: "editor", status: "active", revision: 2 } as const;
    const racing = (overrides: Overrides = {}) =>
      edgeWith({
        ...overrides,
        USER_SESSIONS: objects((stub) => ({
          open: async (request: Parameters<UserSessions["open"]>[0]) => {
            await env.DB.prepare("UPDATE users SET role = 'editor', revision = 2 WHERE id = ?").bind(id).run();
            await stub.noteAccount(account, holder);
            return stub.open(request);
          },
        })),
      });
    const login = await racing({ JWT_ROLLOUT_PERCENT: "0" }).login(username);
    expect(await login.json()).toMatchObject({ token_type: "Session" });
    const old = await racing().fetch("/api/login", { json: { username, password: PASSWORD } });
    expect(await old.json()).toEqual({ user_id: id, role: "editor" });
    const never = edgeWith({ USER_SESSIONS: objects(() => ({ open: async () => ({ outcome: "stale" }) })) });
    expect((await never.fetch("/api/login", { json: { username, password: PASSWORD } })).status).toBe(503);
  });
});

describe("a session ends", () => {
  test("when it was not used for SESSION_IDLE_SECONDS, and lives on while it is", async () => {
    const short = edgeWith({ SESSION_IDLE_SECONDS: "600", SESSION_MAX_SECONDS: "7200" });
    const start = Date.now();
    vi.useFakeTimers({ toFake: ["Date"], now: start });
    const { cookie } = await onSession(short);
    for (let minute = 9; minute <= 90; minute += 9) {
      vi.setSystemTime(start + minute * 60_000);
      expect((await withCookie(short, cookie)).status).toBe(200);
    }
    vi.setSystemTime(start + 102 * 60_000);
    const late = await withCookie(short, cookie);
    expect(late.status).toBe(401);
    expect(await codeOf(late)).toBe("session_expired");
  });

  test("after SESSION_MAX_SECONDS in any case", async () => {
    const short = edgeWith({ SESSION_IDLE_SECONDS: "600", SESSION_MAX_SECONDS: "1200" });
    const start = Date.now();
    vi.useFakeTimers({ toFake: ["Date"], now: start });
    const { cookie } = await onSession(short);
    for (const minute of [5, 10, 15, 19]) {
      vi.setSystemTime(start + minute * 60_000);
      expect((await withCookie(short, cookie)).status).toBe(200);
    }
    vi.setSystemTime(start + 20 * 60_000);
    expect(await codeOf(await withCookie(short, cookie))).toBe("session_expired");
    expect(await codeOf(await withCookie(edgeWith(), cookie))).toBe("session_expired");
  });

  test("with POST /api/logout, which answers only when no edge accepts it any more", async () => {
    const [a, b] = [edgeWith(), edgeWith()];
    const { cookie } = await onSession(a);
    expect((await withCookie(b, cookie)).status).toBe(200);
    const response = await withCookie(a, cookie, "/api/logout", { method: "POST", headers: SAME_ORIGIN });
    expect(response.status).toBe(204);
    expect(cookieOf(response, "session_id")).toBe("");
    expect(response.headers.get("Sunset")).not.toBeNull();
    for (const at of [a, b]) expect(await codeOf(await withCookie(at, cookie))).toBe("invalid_session");
    expect((await withCookie(a, cookie, "/api/logout", { method: "POST" })).status).toBe(204);
    expect((await a.fetch("/api/logout", { method: "POST" })).status).toBe(204);
    const foreign = await withCookie(a, cookie, "/api/logout", {
      method: "POST",
      headers: { Origin: "https://evil.example" },
    });
    expect(await codeOf(foreign)).toBe("csrf_rejected");
  });

  test("with a password change and with a disabled account", async () => {
    const user = await onSession();
    const { access_token: bearer } = await (await edge.login(user.username)).json<TokenResponse>();
    expect((await withCookie(edge, user.cookie)).status).toBe(200);
    const changed = await edge.fetch("/auth/password", {
      bearer,
      json: { current_password: PASSWORD, new_password: "another staple for the battery" },
    });
    expect(changed.status).toBe(204);
    expect(await codeOf(await withCookie(edge, user.cookie))).toBe("invalid_session");
    expect(await codeOf(await exchange(edge, user.cookie))).toBe("invalid_session");

    const disabled = await onSession();
    const holder = { isolate: "the admin's edge", leaseMs: 2000 };
    const object = env.USER_SESSIONS.getByName(disabled.id);
    await object.noteAccount({ role: "user", status: "disabled", revision: 2 }, holder);
    expect(await codeOf(await exchange(edge, disabled.cookie))).toBe("invalid_session");
    expect(await codeOf(await withCookie(edgeWith(), disabled.cookie))).toBe("invalid_session");
  });

  test("with a logout by token, if its cookie is shown beside it, or it was exchanged for the token", async () => {
    const { cookie } = await onSession();
    const { tokens } = await loggedIn(edge);
    const headers = { Cookie: cookie, ...SAME_ORIGIN };
    const out = await edge.fetch("/auth/logout", { method: "POST", bearer: tokens.access_token, headers });
    expect(out.status).toBe(204);
    expect(cookieOf(out, "session_id")).toBe("");
    expect(await codeOf(await withCookie(edge, cookie))).toBe("invalid_session");

    const exchanged = await onSession();
    const { access_token } = await (await exchange(edge, exchanged.cookie)).json<TokenResponse>();
    expect((await edge.logout(access_token)).status).toBe(204);
    expect(await codeOf(await withCookie(edge, exchanged.cookie))).toBe("invalid_session");

    const foreign = await onSession();
    const other = await loggedIn(edge);
    const evil = { Cookie: foreign.cookie, Origin: "https://evil.example" };
    await edge.fetch("/auth/logout", { method: "POST", bearer: other.tokens.access_token, headers: evil });
    expect((await withCookie(edge, foreign.cookie)).status).toBe(200);
  });

  test("as one of the user's sessions, listed and ended like any other", async () => {
    const { username, cookie } = await onSession();
    const { access_token: bearer, session_id } = await (await edge.login(username)).json<TokenResponse>();
    const { sessions } = await (await edge.fetch("/auth/sessions", { bearer })).json<{ sessions: { id: string }[] }>();
    const legacy = sessions.find(({ id }) => id !== session_id);
    expect((await edge.fetch(`/auth/sessions/${legacy?.id}`, { method: "DELETE", bearer })).status).toBe(204);
    expect(await codeOf(await withCookie(edge, cookie))).toBe("invalid_session");
  });
});

describe("notices", () => {
  test("say on every response to a session since when, until when and where to go", async () => {
    const { cookie, response } = await onSession();
    const answers = [response, await withCookie(edge, cookie), await withCookie(edge, cookie, "/api/nothing-here")];
    for (const { headers } of answers) {
      expect(headers.get("Deprecation")).toBe(`@${Date.parse("2026-12-31") / 1000}`);
      expect(headers.get("Sunset")).toBe("Wed, 31 Mar 2027 00:00:00 GMT");
      expect(headers.get("Link")).toBe('</docs/migration>; rel="deprecation"');
      expect(headers.get("Postern-Upgrade")).toBe("/auth/exchange");
    }
    const page = await edge.fetch("/docs/migration");
    expect(await page.text()).toContain("Wed, 31 Mar 2027");
  });

  test("name no date while none is set", async () => {
    const undated = new Edge({ SESSION_AUTH: "on", TRANSITION_FLUSH_SECONDS: "0" });
    const { response } = await onSession(undated);
    expect(response.headers.has("Sunset")).toBe(false);
    expect(response.headers.has("Deprecation")).toBe(false);
    expect(response.headers.get("Link")).toContain("deprecation");
    expect(await (await undated.fetch("/docs/migration")).text()).toContain("for the time being");
  });
});

describe("after the sunset", () => {
  const after = (overrides: Overrides = {}) => {
    vi.useFakeTimers({ toFake: ["Date"], now: Date.parse(SUNSET) });
    return edgeWith({ SESSION_MAX_SECONDS: "34560000", SESSION_IDLE_SECONDS: "34560000", ...overrides });
  };

  test("every use of a session says that sessions are gone and where to go", async () => {
    const { cookie } = await onSession(edgeWith({ SESSION_MAX_SECONDS: "34560000", SESSION_IDLE_SECONDS: "34560000" }));
    const gone = after({ JWT_ROLLOUT_PERCENT: "0" });
    const user = await createUser();
    const responses = [
      await withCookie(gone, cookie),
      await gone.fetch("/api/login", { json: { username: user.username, password: PASSWORD } }),
      await exchange(gone, cookie),
      await exchange(gone, "other=1"),
      await withCookie(after({ SESSION_AUTH: "off" }), cookie),
    ];
    for (const response of responses) {
      expect(response.status).toBe(401);
      expect(response.headers.get("Link")).toContain("/docs/migration");
      expect(await problemOf(response)).toMatchObject({
        code: "session_auth_removed",
        detail: expect.stringContaining("/auth/login") as string,
      });
    }
    const login = await gone.login(user.username);
    expect(await login.json()).toMatchObject({ token_type: "Bearer" });
    vi.setSystemTime(Date.parse(SUNSET) - DAY_MS);
    expect((await withCookie(gone, cookie)).status).toBe(200);
    vi.setSystemTime(Date.parse(SUNSET) + DAY_MS);
    expect((await withCookie(gone, cookie, "/api/logout", { method: "POST" })).status).toBe(204);
    vi.setSystemTime(Date.parse(SUNSET) - DAY_MS);
    expect(await codeOf(await withCookie(gone, cookie))).toBe("invalid_session");
  });
});

describe("POST /auth/exchange", () => {
  test("gives tokens for a session, which stays dormant", async () => {
    const { id, cookie } = await onSession();
    const response = await exchange(edge, cookie, { headers: SAME_ORIGIN });
    expect(response.status).toBe(200);
    const tokens = await response.json<TokenResponse>();
    expect(tokens).toMatchObject({ token_type: "Bearer", expires_in: 900, refresh_expires_in: 604_800 });
    expect((await edge.users(tokens.access_token)).status).toBe(200);
    expect((await edge.refresh(tokens.refresh_token)).status).toBe(200);
    expect((await withCookie(edge, cookie)).status).toBe(200);
    const row = await env.DB.prepare("SELECT exchanged_at AS at FROM legacy_sessions WHERE user_id = ?")
      .bind(id)
      .first();
    expect(row?.["at"]).toBeGreaterThan(0);
    const again = await exchange(edge, cookie, { json: { delivery: "cookie" } });
    expect(cookieOf(again, "__Host-refresh_token")).toMatch(/^prt1_/);
    expect(await again.json()).not.toHaveProperty("refresh_token");
  });

  test("needs a live session, from the same origin, and a body that is one", async () => {
    const { cookie } = await onSession();
    expect(await codeOf(await exchange(edge, cookie, { headers: { Origin: "https://evil.example" } }))).toBe(
      "csrf_rejected",
    );
    expect((await exchange(edge, cookie, { json: { delivery: "pigeon" } })).status).toBe(400);
    expect(await codeOf(await exchange(edge, "other=1"))).toBe("invalid_session");
    const address = "198.51.100.99";
    for (let i = 0; i < 10; i++) await exchange(edge, "other=1", { address });
    expect((await exchange(edge, cookie, { address })).status).toBe(429);
  });

  test("cannot revive a session that a change of password ends at the same moment", async () => {
    const { id, cookie } = await onSession();
    const at = edgeWith();
    expect((await withCookie(at, cookie)).status).toBe(200);
    // This edge still holds a lease; the object knows better.
    await env.USER_SESSIONS.getByName(id).revokeAll({ isolate: "another edge", leaseMs: 2000 }, null);
    expect((await withCookie(at, cookie)).status).toBe(200);
    expect(await codeOf(await exchange(at, cookie))).toBe("invalid_session");
  });

  test("is refused by an account that was disabled or changed behind our back", async () => {
    const disabled = await onSession();
    await env.DB.prepare("UPDATE users SET status = 'disabled' WHERE id = ?").bind(disabled.id).run();
    expect(await codeOf(await exchange(edge, disabled.cookie))).toBe("invalid_session");
    const changed = await onSession();
    const holder = { isolate: "the admin's edge", leaseMs: 0 };
    await env.USER_SESSIONS.getByName(changed.id).noteAccount({ role: "user", status: "active", revision: 9 }, holder);
    expect((await exchange(edge, changed.cookie)).status).toBe(503);
  });
});

describe("the rollout", () => {
  test("gives who is outside a session at login, and tokens out keep working when it is taken back", async () => {
    const all = edgeWith();
    const none = edgeWith({ JWT_ROLLOUT_PERCENT: "0" });
    const { username, tokens } = await loggedIn(all);
    const response = await none.login(username);
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({ token_type: "Session", expires_in: 604_800 });
    expect(response.headers.get("Sunset")).not.toBeNull();
    const cookie = `session_id=${cookieOf(response, "session_id")}`;
    const used = await withCookie(none, cookie);
    expect(used.status).toBe(200);
    expect(used.headers.has("Postern-Upgrade")).toBe(false);
    const stay = await exchange(none, cookie);
    expect(stay.status).toBe(200);
    expect(await stay.json()).toEqual({ token_type: "Session", expires_in: 604_800 });
    expect((await none.users(tokens.access_token)).status).toBe(200);
    expect((await none.refresh(tokens.refresh_token)).status).toBe(200);
    expect((await withCookie(all, cookie)).headers.get("Postern-Upgrade")).toBe("/auth/exchange");
  });

  test("lets those on the list in at any percentage", async () => {
    const [byRole, byId, byName, outside] = [
      await createUser({ role: "beta" }),
      await createUser(),
      await createUser(),
      await createUser(),
    ];
    const beta = edgeWith({
      JWT_ROLLOUT_PERCENT: "0",
      JWT_ROLLOUT_ALLOW: `role:beta, user:${byId.id},user:${byName.username}`,
    });
    const typeOf = async (username: string) => (await (await beta.login(username)).json<TokenResponse>()).token_type;
    for (const { username } of [byRole, byId, byName]) expect(await typeOf(username)).toBe("Bearer");
    expect(await typeOf(outside.username)).toBe("Session");
  });

  test("is not asked where sessions are off", async () => {
    const off = new Edge({ JWT_ROLLOUT_PERCENT: "0" });
    const user = await createUser();
    expect(await (await off.login(user.username)).json()).toMatchObject({ token_type: "Bearer" });
  });
});
