// What happens when a dependency fails at any point of any request: 503 or the ordinary answer, never a 500, and
// nobody is let through. The database fails at its first, second, … operation; the session object at each of its methods.
import { env } from "cloudflare:workers";
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { createUser, Edge, loggedIn, PASSWORD, problemOf, type TokenResponse } from "./support.ts";

const OPERATIONS = [1, 2, 3, 4];
const NEW_PASSWORD = "a sentence nobody has used before";

/** D1 whose `failing`-th operation, and no other, fails. */
function flakyDatabase(failing: number): D1Database {
  let operations = 0;
  return new Proxy(env.DB, {
    get(target, property) {
      const value: unknown = Reflect.get(target, property, target);
      if (typeof value !== "function") return value;
      return (...given: unknown[]): unknown => {
        operations += 1;
        if (operations === failing) throw new Error("D1_ERROR: away");
        return Reflect.apply(value, target, given);
      };
    },
  });
}

/** Session objects of which one method fails. */
function flakySessions(failing: string) {
  return {
    getByName: (name: string) =>
      new Proxy(env.USER_SESSIONS.getByName(name), {
        get(target, property) {
          if (property === failing) return () => Promise.reject(new Error("away"));
          return (...given: unknown[]): unknown =>
            Reflect.apply(Reflect.get(target, property) as (...all: unknown[]) => unknown, target, given);
        },
      }),
  };
}

let bearer: string;

beforeAll(async () => {
  const admin = await loggedIn(new Edge(), "admin");
  bearer = admin.tokens.access_token;
});
beforeEach(() => {
  vi.spyOn(console, "error").mockImplementation(() => undefined);
});
afterEach(() => {
  vi.restoreAllMocks();
});

interface Victim {
  readonly id: string;
  readonly username: string;
  readonly tokens: TokenResponse;
}

type Call = (edge: Edge, victim: Victim) => Promise<Response>;

const asAdmin =
  (method: string, path: (victim: Victim) => string, json?: unknown): Call =>
  (edge, victim) =>
    edge.fetch(path(victim), { method, bearer, ...(json === undefined ? {} : { json }) });

const CALLS: readonly [name: string, call: Call][] = [
  ["login", (edge, { username }) => edge.login(username)],
  ["refresh", (edge, { tokens }) => edge.refresh(tokens.refresh_token)],
  ["logout", (edge, { tokens }) => edge.logout(tokens.access_token)],
  ["logout/all", (edge, { tokens }) => edge.fetch("/auth/logout/all", { method: "POST", bearer: tokens.access_token })],
  ["me", (edge, { tokens }) => edge.fetch("/auth/me", { bearer: tokens.access_token })],
  ["sessions", (edge, { tokens }) => edge.fetch("/auth/sessions", { bearer: tokens.access_token })],
  [
    "password",
    (edge, { tokens }) =>
      edge.fetch("/auth/password", {
        bearer: tokens.access_token,
        json: { current_password: PASSWORD, new_password: NEW_PASSWORD },
      }),
  ],
  [
    "register",
    (edge, { username }) => edge.fetch("/auth/register", { json: { username: `${username}-x`, password: PASSWORD } }),
  ],
  ["an API call", (edge, { tokens }) => edge.users(tokens.access_token)],
  ["the JWKS", (edge) => edge.fetch("/.well-known/jwks.json")],
  ["GET users", asAdmin("GET", () => "/admin/users")],
  ["GET user", asAdmin("GET", ({ id }) => `/admin/users/${id}`)],
  ["POST user", asAdmin("POST", () => "/admin/users", { username: "created", password: PASSWORD })],
  ["PATCH user", asAdmin("PATCH", ({ id }) => `/admin/users/${id}`, { role: "ops", password: NEW_PASSWORD })],
  ["DELETE user", asAdmin("DELETE", ({ id }) => `/admin/users/${id}`)],
  ["GET sessions", asAdmin("GET", ({ id }) => `/admin/users/${id}/sessions`)],
  ["DELETE sessions", asAdmin("DELETE", ({ id }) => `/admin/users/${id}/sessions`)],
  ["DELETE session", asAdmin("DELETE", ({ id, tokens }) => `/admin/users/${id}/sessions/${tokens.session_id}`)],
  ["GET keys", asAdmin("GET", () => "/admin/keys")],
  ["rotate", asAdmin("POST", () => "/admin/keys/rotate")],
  ["GET audit", asAdmin("GET", () => "/admin/audit")],
];

async function expectSound(response: Response): Promise<void> {
  if (response.status < 400) return;
  expect([409, 503]).toContain(response.status);
  if (response.status !== 503) return;
  expect(response.headers.get("Retry-After")).toBe("5");
  expect((await problemOf(response)).code).toBe("dependency_unavailable");
}

describe("a database that fails in the middle", () => {
  test.each(CALLS)("of %s is 503 or makes no difference", async (_, call) => {
    let refused = 0;
    for (const failing of OPERATIONS) {
      const victim = await loggedIn(new Edge());
      const edge = new Edge({ DB: flakyDatabase(failing), REGISTRATION: "open" });
      const response = await call(edge, victim);
      if (response.status === 503) refused += 1;
      await expectSound(response);
    }
    // The first operation of a cold edge is reading the keys, or the account.
    expect(refused).toBeGreaterThan(0);
  });

  test("of a compromised key's withdrawal is 503, and the rotation can be repeated", async () => {
    for (const failing of [3, 4, 5, 6]) {
      const edge = new Edge({ DB: flakyDatabase(failing) });
      const json = { compromised: true };
      const response = await edge.fetch("/admin/keys/rotate", { method: "POST", bearer, json });
      await expectSound(response);
      const admin = await loggedIn(new Edge(), "admin");
      bearer = admin.tokens.access_token;
    }
    expect((await new Edge().fetch("/admin/keys", { bearer })).status).toBe(200);
  });

  test("of the cron breaks nothing, and the next run does the work", async () => {
    const later = Date.now() + 29.5 * 86_400_000;
    for (const failing of [1, 2, 3, 4]) {
      vi.useFakeTimers({ toFake: ["Date"], now: later });
      await new Edge({ DB: flakyDatabase(failing) }).maintain();
      vi.useRealTimers();
    }
    vi.useFakeTimers({ toFake: ["Date"], now: later });
    await new Edge().maintain();
    vi.useRealTimers();
    const { n = 0 } =
      (await env.DB.prepare("SELECT count(*) AS n FROM signing_keys WHERE active_at > ?")
        .bind(later)
        .first<{ n: number }>()) ?? {};
    expect(n).toBe(1);
  });

  test("shows in readyz", async () => {
    const response = await new Edge({ DB: flakyDatabase(1) }).fetch("/readyz");
    expect(response.status).toBe(503);
  });
});

describe("a session object whose call fails", () => {
  test.each(["open", "refresh", "lease", "revoke", "revokeAll", "noteAccount", "list"])(
    "at %s is 503 wherever it is needed, and lets nobody through",
    async (method) => {
      let refused = 0;
      for (const [, call] of CALLS) {
        const victim = await loggedIn(new Edge());
        const response = await call(new Edge({ USER_SESSIONS: flakySessions(method), REGISTRATION: "open" }), victim);
        if (response.status === 503) refused += 1;
        await expectSound(response);
      }
      expect(refused).toBeGreaterThan(0);
    },
  );

  test("at nothing leaves a user who cannot log in again", async () => {
    const user = await createUser();
    expect((await new Edge({ USER_SESSIONS: flakySessions("open") }).login(user.username)).status).toBe(503);
    expect((await new Edge().login(user.username)).status).toBe(200);
  });
});

describe("a request that is not a browser's", () => {
  test("may have no CF-Connecting-IP: then it comes from this machine", async () => {
    const { default: worker } = await import("../src/index.ts");
    const request = new Request<unknown, IncomingRequestCfProperties>("http://127.0.0.1:8787/auth/me");
    expect((await worker.fetch(request, { ...env })).status).toBe(401);
  });
});
