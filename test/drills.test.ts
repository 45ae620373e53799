// Failure drills: what Postern does while something it stands on is away, wrong or half done. Outages of the database and
// of single calls are in outages.test.ts, a cron that was missed in keys.test.ts.
import { evictAllDurableObjects } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { cookieOf, createUser, Edge, loggedIn, PASSWORD, problemOf, type TokenResponse } from "./support.ts";

beforeEach(() => {
  vi.spyOn(console, "error").mockImplementation(() => undefined);
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

/** A namespace none of whose objects can be reached. */
const away = {
  getByName: () => new Proxy({}, { get: () => () => Promise.reject(new Error("away")) }),
};

describe("while the counters are away", () => {
  const edge = new Edge({ COUNTERS: away, REGISTRATION: "open" });

  test("nobody can guess passwords: login, password change and registration are 503 with Retry-After", async () => {
    const { username } = await createUser();
    const { tokens } = await loggedIn(new Edge());
    const bearer = tokens.access_token;
    const refused = [
      await edge.login(username),
      await edge.fetch("/auth/password", {
        bearer,
        json: { current_password: PASSWORD, new_password: "another good sentence of mine" },
      }),
      await edge.fetch("/auth/register", { json: { username: `${username}-new`, password: PASSWORD } }),
    ];
    for (const response of refused) {
      expect(response.status).toBe(503);
      expect(response.headers.get("Retry-After")).toBe("5");
      expect((await problemOf(response)).code).toBe("dependency_unavailable");
    }
  });

  test("everybody who is logged in stays so: refresh, sessions, logout and the gateway go on", async () => {
    const { tokens } = await loggedIn(new Edge());
    const bearer = tokens.access_token;
    expect((await edge.users(bearer)).status).toBe(200);
    expect((await edge.fetch("/auth/sessions", { bearer })).status).toBe(200);
    const refreshed = await edge.refresh(tokens.refresh_token);
    expect(refreshed.status).toBe(200);
    expect((await edge.refresh("prt1_guess")).status).toBe(401);
    expect((await edge.logout((await refreshed.json<TokenResponse>()).access_token)).status).toBe(204);
  });

  test("strangers at the admin door are kept out", async () => {
    expect((await edge.fetch("/admin/users")).status).toBe(503);
  });
});

describe("while the session objects are away", () => {
  test("a lease counts to its end and no longer, then requests are 503 until they are back", async () => {
    const start = Date.now();
    vi.useFakeTimers({ toFake: ["Date"], now: start });
    let isAway = false;
    const namespace = {
      getByName: (name: string): unknown => (isAway ? away.getByName() : env.USER_SESSIONS.getByName(name)),
    };
    const edge = new Edge({ USER_SESSIONS: namespace });
    const { tokens } = await loggedIn(edge);
    expect((await edge.users(tokens.access_token)).status).toBe(200);
    isAway = true;
    vi.setSystemTime(start + 1_700);
    expect((await edge.users(tokens.access_token)).status).toBe(200);
    vi.setSystemTime(start + 2_000);
    expect((await edge.users(tokens.access_token)).status).toBe(503);
    isAway = false;
    expect((await edge.users(tokens.access_token)).status).toBe(200);
  });
});

describe("an object that hangs instead of failing", () => {
  const hanging = { getByName: () => new Proxy({}, { get: () => () => new Promise(() => undefined) }) };

  /** What `call` answers once five seconds are over, and not before. */
  async function afterTheLimit(call: () => Promise<Response>): Promise<Response> {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    let response: Response | undefined;
    const answering = call().then((answer) => (response = answer));
    for (let pause = 0; pause < 500 && vi.getTimerCount() === 0; pause++) await scheduler.wait(10);
    await vi.advanceTimersByTimeAsync(4_999);
    expect(response).toBeUndefined();
    await vi.advanceTimersByTimeAsync(1);
    await answering;
    expect(vi.getTimerCount()).toBe(0);
    return answering;
  }

  test("of a session is 503 after five seconds, and leaves no timer behind", async () => {
    const { tokens } = await loggedIn(new Edge());
    const edge = new Edge({ USER_SESSIONS: hanging });
    const response = await afterTheLimit(() => edge.users(tokens.access_token));
    expect(response.status).toBe(503);
    expect(response.headers.get("Retry-After")).toBe("5");
    expect((await new Edge().refresh(tokens.refresh_token)).status).toBe(200);
  });

  test("of a counter is as one that is away: a refresh goes on, a login is 503", async () => {
    const { username } = await createUser();
    const { tokens } = await loggedIn(new Edge());
    const edge = new Edge({ COUNTERS: hanging });
    expect((await afterTheLimit(() => edge.refresh(tokens.refresh_token))).status).toBe(200);
    vi.useRealTimers();
    expect((await afterTheLimit(() => edge.login(username))).status).toBe(503);
  });
});

describe("a key that is withdrawn while its edge is reading the keys", () => {
  test("is not brought back by that reading", async () => {
    let isSlow = false;
    const edge = new Edge({ DB: slowKeys(() => isSlow) });
    const victim = await loggedIn(edge);
    const admin = await loggedIn(edge, "admin");
    const start = Date.now();
    vi.useFakeTimers({ toFake: ["Date"], now: start + 31_000 });
    isSlow = true;
    expect((await edge.users(victim.tokens.access_token)).status).toBe(200);
    isSlow = false;
    const rotated = await edge.fetch("/admin/keys/rotate", {
      method: "POST",
      bearer: admin.tokens.access_token,
      json: { compromised: true },
    });
    expect(rotated.status).toBe(200);
    await scheduler.wait(600);
    expect((await edge.users(victim.tokens.access_token)).status).toBe(401);
  });
});

/** D1 whose answers to readings that begin while `isSlow` take half a second to arrive. */
function slowKeys(isSlow: () => boolean): D1Database {
  const late = <T extends object>(target: T, held: boolean): T =>
    new Proxy(target, {
      get(object, property) {
        const value: unknown = Reflect.get(object, property, object);
        if (typeof value !== "function") return value;
        return (...given: unknown[]): unknown => {
          const result: unknown = Reflect.apply(value, object, given);
          if (property === "all" && held)
            return Promise.resolve(result).then((rows) => scheduler.wait(500).then(() => rows));
          const isHeld = held || (property === "withSession" && isSlow());
          return isHeld && typeof result === "object" && result !== null ? late(result, true) : result;
        };
      },
    });
  return late(env.DB, false);
}

describe("clocks that are apart", () => {
  const start = Date.now();

  test("let the first key of all sign at once at edges that are behind the one that minted it", async () => {
    await env.DB.exec("DELETE FROM signing_keys");
    vi.useFakeTimers({ toFake: ["Date"], now: start + 10_000 });
    const { username } = await createUser();
    expect((await new Edge().fetch("/readyz")).status).toBe(200);
    vi.setSystemTime(start);
    expect((await new Edge().login(username)).status).toBe(200);
  });

  test.each([
    ["behind by 5 s", -5_000, 200],
    ["behind by 10 s", -10_000, 401],
    ["ahead by 10 s", 10_000, 200],
  ])("an edge %s takes a fresh token as the tolerance says, and answers no other way", async (_, apart, status) => {
    vi.useFakeTimers({ toFake: ["Date"], now: start });
    const { tokens } = await loggedIn(new Edge());
    vi.setSystemTime(start + apart);
    const other = new Edge();
    expect((await other.users(tokens.access_token)).status).toBe(status);
    // Five seconds on, at the latest, the slowest of them agrees.
    vi.setSystemTime(start + apart + 5_000);
    expect((await other.users(tokens.access_token)).status).toBe(200);
  });

  test("an edge ten seconds behind accepts no token for longer than its tolerance and the difference", async () => {
    vi.useFakeTimers({ toFake: ["Date"], now: start });
    const edge = new Edge({ ACCESS_TOKEN_SECONDS: "60" });
    const { tokens } = await loggedIn(edge);
    vi.setSystemTime(start + 64_000);
    expect((await edge.users(tokens.access_token)).status).toBe(200);
    vi.setSystemTime(start + 66_000);
    expect((await problemOf(await edge.users(tokens.access_token))).code).toBe("token_expired");
  });

  test("a revoked session is refused by every edge, whatever its clock says", async () => {
    vi.useFakeTimers({ toFake: ["Date"], now: start });
    const [edge, other] = [new Edge(), new Edge()];
    const { tokens } = await loggedIn(edge);
    expect((await edge.logout(tokens.access_token)).status).toBe(204);
    for (const apart of [-4_000, 0, 10_000]) {
      vi.setSystemTime(start + apart);
      const response = await other.users(tokens.access_token);
      expect((await problemOf(response)).code).toBe("token_revoked");
    }
  });

  test("the refresh chain goes on at edges ten seconds apart", async () => {
    vi.useFakeTimers({ toFake: ["Date"], now: start });
    const [edge, other] = [new Edge(), new Edge()];
    const { tokens } = await loggedIn(edge);
    let refreshToken = tokens.refresh_token;
    for (const [at, apart] of [
      [other, 10_000],
      [edge, 0],
      [other, -10_000],
      [edge, 0],
    ] as const) {
      vi.setSystemTime(start + apart);
      const response = await at.refresh(refreshToken);
      expect(response.status).toBe(200);
      refreshToken = (await response.json<TokenResponse>()).refresh_token;
    }
  });
});

/** D1 in which `table` is not there yet. */
function without(table: string): D1Database {
  const missing = (sql: string): string => sql.replaceAll(table, `${table}_of_a_later_migration`);
  const wrap = <T extends Pick<D1Database, "prepare">>(target: T): T =>
    new Proxy(target, {
      get(object, property) {
        if (property === "prepare") return (sql: string) => object.prepare(missing(sql));
        const value: unknown = Reflect.get(object, property, object);
        if (property === "withSession" && typeof value === "function") {
          return (...given: unknown[]) => wrap(Reflect.apply(value, object, given) as T);
        }
        return typeof value === "function" ? (value.bind(object) as unknown) : value;
      },
    });
  return wrap(env.DB);
}

describe("a Worker that was deployed before its migrations", () => {
  test("without audit_events logs people in, and says in the log what it could not record", async () => {
    const complaints = vi.spyOn(console, "error").mockImplementation(() => undefined);
    const { username } = await createUser();
    const edge = new Edge({ DB: without("audit_events") });
    expect((await edge.login(username)).status).toBe(200);
    await vi.waitFor(() => expect(complaints.mock.calls.flat().join("\n")).toContain('"audit.dropped"'));
  });

  test("without signing_keys answers 503, says keys in readyz, and works when the table is there", async () => {
    const { username } = await createUser();
    const half = new Edge({ DB: without("signing_keys") });
    expect((await half.login(username)).status).toBe(503);
    const ready = await half.fetch("/readyz");
    expect(ready.status).toBe(503);
    expect(await ready.json()).toEqual({ status: "unavailable", failed: ["keys"] });
    expect((await new Edge().login(username)).status).toBe(200);
  });

  test("without users answers 503, says database in readyz, and goes on for who is logged in", async () => {
    const { tokens } = await loggedIn(new Edge());
    const half = new Edge({ DB: without("users") });
    expect((await half.login("anybody")).status).toBe(503);
    expect(await (await half.fetch("/readyz")).json()).toEqual({ status: "unavailable", failed: ["database"] });
    expect((await half.users(tokens.access_token)).status).toBe(200);
    expect((await half.refresh(tokens.refresh_token)).status).toBe(200);
  });

  test("without legacy_sessions takes no session cookie, 503, and tokens as ever", async () => {
    const { tokens } = await loggedIn(new Edge());
    const { username } = await createUser();
    const whole = new Edge({ SESSION_AUTH: "on" });
    const login = await whole.fetch("/api/login", { json: { username, password: PASSWORD } });
    const cookie = `session_id=${cookieOf(login, "session_id")}`;
    const half = new Edge({ DB: without("legacy_sessions"), SESSION_AUTH: "on" });
    const visit = await half.fetch("/api/users", { headers: { Cookie: cookie } });
    expect(visit.status).toBe(503);
    expect((await half.users(tokens.access_token)).status).toBe(200);
  });
});

describe("a deployment in the middle of refreshes", () => {
  test("loses no session: the object forgets its memory between two of them, and answers as before", async () => {
    const edge = new Edge();
    const { tokens } = await loggedIn(edge);
    const key = { "Idempotency-Key": crypto.randomUUID() };
    const first = await (await edge.refresh(tokens.refresh_token, key)).json<TokenResponse>();
    await evictAllDurableObjects();
    const again = await new Edge().refresh(tokens.refresh_token, key);
    expect(again.headers.get("Postern-Refresh")).toBe("replayed");
    expect((await again.json<TokenResponse>()).refresh_token).toBe(first.refresh_token);
  });

  test("repeats a call whose object was taken away, and rotates once", async () => {
    let lost = 0;
    const namespace = {
      getByName: (name: string) =>
        new Proxy(env.USER_SESSIONS.getByName(name), {
          get(target, property) {
            const call: unknown = Reflect.get(target, property, target);
            if (property !== "refresh" || typeof call !== "function") return call;
            return async (...given: unknown[]): Promise<unknown> => {
              const reply: unknown = await Reflect.apply(call, target, given);
              lost += 1;
              if (lost > 1) return reply;
              throw Object.assign(new Error("reset because its code was updated"), { retryable: true });
            };
          },
        }),
    };
    const edge = new Edge({ USER_SESSIONS: namespace });
    const { tokens } = await loggedIn(edge);
    const response = await edge.refresh(tokens.refresh_token);
    expect(lost).toBe(2);
    expect(response.status).toBe(200);
    const { refresh_token: successor } = await response.json<TokenResponse>();
    expect((await edge.refresh(successor)).headers.get("Postern-Refresh")).toBe("rotated");
  });
});
