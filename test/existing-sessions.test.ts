// Sessions that the existing application made: Postern in front of it, and the application asked whose they are.
import { createVerifier, httpbis } from "http-message-signatures";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { UserSessions } from "../src/sessions/object.ts";
import { createUser, Edge, loggedIn, type Overrides, problemOf, type RequestOptions } from "./support.ts";

const VERIFY_URL = "https://app.example/internal/session?v=1";
const edgeWith = (overrides: Overrides = {}) =>
  new Edge({
    SESSION_AUTH: "on",
    SESSION_SUNSET: "2027-03-31",
    SESSION_VERIFY_URL: VERIFY_URL,
    TRANSITION_FLUSH_SECONDS: "0",
    ...overrides,
  });

/** What the application knows: cookie to answer. */
let store: Map<string, unknown>;
let asked: Request[];
let application: (request: Request) => Response | Promise<Response>;
let counter = 0;

beforeEach(() => {
  store = new Map();
  asked = [];
  application = (request) => {
    const answer = store.get(/session_id=(.*)$/.exec(request.headers.get("Cookie") ?? "")?.[1] ?? "");
    return answer === undefined ? new Response("no such session", { status: 401 }) : Response.json(answer);
  };
  vi.spyOn(globalThis, "fetch").mockImplementation(async (input, init) => {
    const request = new Request(input, init);
    asked.push(request);
    return application(request);
  });
});

afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

/** A session in the application's store. */
function session(answer: unknown): string {
  counter += 1;
  const cookie = `s%3Aold-application-${counter}.sig=+/`;
  store.set(cookie, answer);
  return cookie;
}

const call = (at: Edge, cookie: string, path = "/api/echo", options: RequestOptions = {}) =>
  at.fetch(path, { ...options, headers: { Cookie: `theme=dark; session_id=${cookie}`, ...options.headers } });

const identity = async (response: Response) => (await response.json<{ headers: Record<string, string> }>()).headers;
const codeOf = async (response: Response) => (await problemOf(response)).code;

describe("a session of the existing application", () => {
  test("is accepted for the local user it names, by id or by name", async () => {
    const user = await createUser({ role: "editor" });
    for (const answer of [{ user_id: user.id }, { username: user.username, role: "admin" }]) {
      const response = await call(edgeWith(), session(answer));
      expect(response.status).toBe(200);
      expect(response.headers.get("Sunset")).toBe("Wed, 31 Mar 2027 00:00:00 GMT");
      expect(response.headers.get("Postern-Upgrade")).toBe("/auth/exchange");
      expect(await identity(response)).toMatchObject({
        "x-user-id": user.id,
        "x-user-role": "editor",
        "x-auth-method": "session",
      });
    }
  });

  test("of a user nobody has imported passes as the application describes them, and is no account of ours", async () => {
    const cookie = session({ user_id: 4711, role: "user" });
    const at = edgeWith();
    const response = await call(at, cookie);
    expect(await identity(response)).toMatchObject({ "x-user-id": "4711", "x-user-role": "user" });
    const exchanged = await call(at, cookie, "/auth/exchange", { method: "POST" });
    expect(await exchanged.json()).toMatchObject({ token_type: "Session" });
    expect(await codeOf(await call(at, session({ user_id: "unknown-and-no-role" })))).toBe("invalid_session");
    expect(await codeOf(await call(at, session({ username: "nobody-of-that-name", role: "user" })))).toBe(
      "invalid_session",
    );
  });

  test("is asked about with the cookie as it came, signed like the identity headers", async () => {
    const user = await createUser();
    const cookie = session({ user_id: user.id });
    await call(edgeWith(), cookie, "/api/echo", { headers: { "X-Request-Id": "ask-1" } });
    const [request] = asked;
    expect(request?.method).toBe("GET");
    expect(request?.url).toBe(VERIFY_URL);
    expect(request?.headers.get("Cookie")).toBe(`session_id=${cookie}`);
    const key = Uint8Array.fromBase64(env.ORIGIN_SECRET);
    const message = { method: "GET", url: VERIFY_URL, headers: Object.fromEntries(request?.headers ?? []) };
    const verified = await httpbis.verifyMessage(
      {
        keyLookup: async () => ({ verify: createVerifier(key, "hmac-sha256") }),
        requiredFields: ["@method", "@path", "@query", "cookie", "x-request-id"],
      },
      message,
    );
    expect(verified).toBe(true);
    expect(message.headers["x-request-id"]).toBe("ask-1");
  });

  test("is asked about once per lease, whoever comes meanwhile", async () => {
    const user = await createUser();
    const at = edgeWith();
    const cookie = session({ user_id: user.id });
    await Promise.all(Array.from({ length: 20 }, () => call(at, cookie)));
    for (let i = 0; i < 10; i++) expect((await call(at, cookie)).status).toBe(200);
    expect(asked).toHaveLength(1);
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 1751 });
    await call(at, cookie);
    expect(asked).toHaveLength(2);
  });

  test("that the application ends is refused when the lease has", async () => {
    const user = await createUser();
    const at = edgeWith();
    const cookie = session({ user_id: user.id, expires_at: Date.now() / 1000 + 3600 });
    expect((await call(at, cookie)).status).toBe(200);
    store.delete(cookie);
    expect((await call(at, cookie)).status).toBe(200);
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 1751 });
    expect(await codeOf(await call(at, cookie))).toBe("invalid_session");
    store.set(cookie, { user_id: user.id, expires_at: Date.now() / 1000 - 1 });
    vi.setSystemTime(Date.now() + 1751);
    expect(await codeOf(await call(at, cookie))).toBe("invalid_session");
  });

  test("that was ended here stays ended here, whatever the application says", async () => {
    const user = await createUser();
    const cookie = session({ user_id: user.id });
    const [a, b] = [edgeWith(), edgeWith()];
    expect((await call(b, cookie)).status).toBe(200);
    expect((await call(a, cookie, "/api/logout", { method: "POST" })).status).toBe(204);
    for (const at of [a, b, edgeWith()]) expect(await codeOf(await call(at, cookie))).toBe("invalid_session");
    const unseen = session({ user_id: user.id });
    expect((await call(a, unseen, "/api/logout", { method: "POST" })).status).toBe(204);
    expect(await codeOf(await call(b, unseen))).toBe("invalid_session");
  });

  test("is exchanged like one of ours, until a password change here", async () => {
    const at = edgeWith();
    const { id, tokens } = await loggedIn(at);
    const cookie = session({ user_id: id });
    expect(await (await call(at, cookie, "/auth/exchange", { method: "POST" })).json()).toMatchObject({
      token_type: "Bearer",
    });
    expect((await at.fetch("/auth/logout/all", { method: "POST", bearer: tokens.access_token })).status).toBe(204);
    expect(await codeOf(await call(at, cookie, "/auth/exchange", { method: "POST" }))).toBe("invalid_session");
  });

  test("of a disabled account is refused, and one whose account has changed since is not", async () => {
    const user = await createUser({ status: "disabled" });
    expect(await codeOf(await call(edgeWith(), session({ user_id: user.id })))).toBe("invalid_session");
    const changed = await createUser();
    const holder = { isolate: "the admin's edge", leaseMs: 0 };
    const account = { role: "editor", status: "active", revision: 5 } as const;
    await env.USER_SESSIONS.getByName(changed.id).noteAccount(account, holder);
    const response = await call(edgeWith(), session({ user_id: changed.id }));
    expect((await identity(response))["x-user-role"]).toBe("editor");
  });

  test.each([
    ["fails", () => new Response("oops", { status: 500 })],
    ["redirects", () => new Response(null, { status: 302, headers: { Location: "/login" } })],
    ["answers no JSON", () => new Response("<html>")],
    ["names nobody", () => Response.json({ role: "admin" })],
    ["names somebody no header can", () => Response.json({ user_id: "a\r\nb", role: "user" })],
    ["is not there", () => Promise.reject(new Error("connection refused"))],
  ])("is neither accepted nor refused when the application %s", async (_, behaviour) => {
    const logged = vi.spyOn(console, "error").mockImplementation(() => undefined);
    application = behaviour;
    const at = edgeWith();
    const cookie = session({});
    const response = await call(at, cookie);
    expect(response.status).toBe(503);
    expect(await problemOf(response)).toMatchObject({
      code: "dependency_unavailable",
      detail: expect.stringContaining("application") as string,
    });
    expect(JSON.stringify(logged.mock.calls)).not.toContain(cookie);
    await call(at, cookie);
    expect(asked).toHaveLength(2);
  });

  test("is not accepted before its user's object knows it", async () => {
    vi.spyOn(console, "error").mockImplementation(() => undefined);
    const user = await createUser();
    const away = (): never => {
      throw new Error("away");
    };
    const USER_SESSIONS = {
      getByName: (name: string) => {
        const stub = env.USER_SESSIONS.getByName(name);
        return { visit: (...message: Parameters<UserSessions["visit"]>) => stub.visit(...message), open: away };
      },
    };
    expect((await call(edgeWith({ USER_SESSIONS }), session({ user_id: user.id }))).status).toBe(503);
    const DB = { prepare: away, withSession: () => env.DB.withSession("first-primary") };
    expect((await call(edgeWith({ DB }), session({ user_id: user.id }))).status).toBe(503);
    const unreadable = edgeWith({ DB: { withSession: away } });
    expect((await call(unreadable, session({ user_id: user.id }))).status).toBe(503);
  });

  test("keeps its cookie on the way to the application and back, which makes sessions of that name itself", async () => {
    const user = await createUser();
    const ORIGIN = {
      fetch: async (request: Request) =>
        new Response(request.headers.get("Cookie"), { headers: { "Set-Cookie": "session_id=new; HttpOnly" } }),
    };
    const cookie = session({ user_id: user.id });
    const response = await call(edgeWith({ ORIGIN }), `${cookie}; __Host-refresh_token=secret`);
    expect(await response.text()).toBe(`theme=dark; session_id=${cookie}`);
    expect(response.headers.getSetCookie()).toEqual(["session_id=new; HttpOnly"]);
  });
});
