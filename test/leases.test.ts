// Leases: what an isolate may believe without asking, and what whoever revokes must wait for. Two Edge objects stand
// for two isolates here; test/node/edges.test.ts does the same with two real ones.
import { evictDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, test, vi } from "vitest";
import type { UserSessions } from "../src/sessions/object.ts";
import { counting, Edge, loggedIn, problemOf } from "./support.ts";

afterEach(() => {
  vi.useRealTimers();
});

const sessionsOf = (userId: string) => env.USER_SESSIONS.getByName(userId);

/** Milliseconds that `work` takes. */
async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

describe("an authorised request", () => {
  test("asks the object once per lease, and does no I/O of ours within it", async () => {
    const objects = counting(env.USER_SESSIONS, ["getByName"]);
    const counters = counting(env.COUNTERS, ["getByName"]);
    const database = counting(env.DB, ["prepare", "withSession", "batch", "exec"]);
    const edge = new Edge({ USER_SESSIONS: objects.proxy, COUNTERS: counters.proxy, DB: database.proxy });
    const { tokens } = await loggedIn(edge);
    await edge.users(tokens.access_token);
    const before = [objects.calls(), counters.calls(), database.calls()];
    for (let i = 0; i < 20; i++) expect((await edge.users(tokens.access_token)).status).toBe(200);
    expect([objects.calls(), counters.calls(), database.calls()]).toEqual(before);

    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 1751 });
    await edge.users(tokens.access_token);
    expect(objects.calls() - (before[0] ?? 0)).toBe(1);
  });

  test("shares the question with those that arrive meanwhile", async () => {
    const objects = counting(env.USER_SESSIONS, ["getByName"]);
    const edge = new Edge({ USER_SESSIONS: objects.proxy });
    const { tokens } = await loggedIn(new Edge());
    const responses = await Promise.all(Array.from({ length: 50 }, () => edge.users(tokens.access_token)));
    expect(responses.map((response) => response.status)).toEqual(Array(50).fill(200));
    expect(objects.calls()).toBe(1);
  });

  test("asks every time when the lease length is 0", async () => {
    const objects = counting(env.USER_SESSIONS, ["getByName"]);
    const edge = new Edge({ USER_SESSIONS: objects.proxy, REVOCATION_LEASE_SECONDS: "0" });
    const { tokens } = await loggedIn(new Edge());
    for (let i = 0; i < 5; i++) await edge.users(tokens.access_token);
    expect(objects.calls()).toBe(5);
  });

  test("with a revoked token asks once", async () => {
    const objects = counting(env.USER_SESSIONS, ["getByName"]);
    const edge = new Edge({ USER_SESSIONS: objects.proxy });
    const { tokens } = await loggedIn(new Edge());
    await new Edge().logout(tokens.access_token);
    for (let i = 0; i < 5; i++) expect((await edge.users(tokens.access_token)).status).toBe(401);
    expect(objects.calls()).toBe(1);
  });

  test("is not alone in sparing D1: a refresh makes no query either", async () => {
    const database = counting(env.DB, ["prepare", "withSession", "batch", "exec"]);
    const edge = new Edge({ DB: database.proxy });
    const { tokens } = await loggedIn(edge);
    const before = database.calls();
    expect((await edge.refresh(tokens.refresh_token)).status).toBe(200);
    expect(database.calls()).toBe(before);
  });
});

describe("logout", () => {
  test("answers at once when no other edge holds a lease", async () => {
    const edge = new Edge();
    const { tokens } = await loggedIn(edge);
    await edge.users(tokens.access_token);
    expect(await timed(() => edge.logout(tokens.access_token))).toBeLessThan(1000);
    expect((await edge.users(tokens.access_token)).status).toBe(401);
  });

  test("answers only when the lease of another edge has run out, and then no edge accepts the token", async () => {
    const [a, b] = [new Edge(), new Edge()];
    const { tokens } = await loggedIn(a);
    expect((await b.users(tokens.access_token)).status).toBe(200);
    const statuses: number[] = [];
    const answered = new AbortController();
    const logout = timed(() => a.logout(tokens.access_token)).finally(() => answered.abort());
    while (!answered.signal.aborted) {
      statuses.push((await b.users(tokens.access_token)).status);
      await scheduler.wait(50);
    }
    expect(await logout).toBeGreaterThan(1000);
    expect(statuses.filter((status) => status === 200).length).toBeGreaterThan(10);
    expect((await b.users(tokens.access_token)).status).toBe(401);
    expect((await a.users(tokens.access_token)).status).toBe(401);
  });

  test("waits again when it is repeated while leases are out", async () => {
    const [a, b] = [new Edge(), new Edge()];
    const { tokens } = await loggedIn(a);
    await b.users(tokens.access_token);
    const [first, second] = await Promise.all([a.logout(tokens.access_token), a.logout(tokens.access_token)]);
    expect([first.status, second.status]).toEqual([204, 204]);
    expect((await b.users(tokens.access_token)).status).toBe(401);
  });

  test("waits for leases that were granted before the object left memory", async () => {
    const [a, b] = [new Edge(), new Edge()];
    const { id, tokens } = await loggedIn(a);
    expect((await b.users(tokens.access_token)).status).toBe(200);
    await evictDurableObject(sessionsOf(id));
    expect(await timed(() => a.logout(tokens.access_token))).toBeGreaterThan(1000);
    expect((await b.users(tokens.access_token)).status).toBe(401);
  });

  test("waits for nothing after an eviction if leases cannot be out any more", async () => {
    const [a, b] = [new Edge(), new Edge()];
    const { id, tokens } = await loggedIn(a);
    await b.users(tokens.access_token);
    await evictDurableObject(sessionsOf(id));
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 60_000 });
    const reply = await sessionsOf(id).revoke(tokens.session_id, { isolate: "a", leaseMs: 2000 });
    expect(reply).toMatchObject({ found: true, drainMs: 0 });
  });

  test("does not believe an answer that was on its way while the session ended", async () => {
    const { tokens } = await loggedIn(new Edge());
    let release: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    let calls = 0;
    const USER_SESSIONS = {
      getByName: (name: string) => {
        const stub = sessionsOf(name);
        return {
          lease: async (sessionId: string, holder: { isolate: string; leaseMs: number }) => {
            const reply = await stub.lease(sessionId, holder);
            calls += 1;
            if (calls === 1) await gate;
            return reply;
          },
          revoke: (sessionId: string, holder: { isolate: string; leaseMs: number }) => stub.revoke(sessionId, holder),
        };
      },
    };
    const edge = new Edge({ USER_SESSIONS });
    const early = edge.users(tokens.access_token);
    await vi.waitFor(() => expect(calls).toBe(1));
    expect((await edge.logout(tokens.access_token)).status).toBe(204);
    release();
    expect((await early).status).toBe(200);
    expect((await edge.users(tokens.access_token)).status).toBe(401);
  });
});

describe("a change of the account", () => {
  const holder = { isolate: "the admin's edge", leaseMs: 2000 };

  test("of role counts at every edge once it is noted", async () => {
    const [a, b] = [new Edge(), new Edge()];
    const { id, tokens } = await loggedIn(a);
    await b.users(tokens.access_token);
    const reply = await sessionsOf(id).noteAccount({ role: "admin", status: "active", revision: 2 }, holder);
    expect(reply.drainMs).toBeGreaterThan(0);
    expect(reply.drainMs).toBeLessThanOrEqual(2000);
    await scheduler.wait(reply.drainMs);
    const me = await b.fetch("/auth/me", { bearer: tokens.access_token });
    expect(await me.json()).toMatchObject({ role: "admin" });
    const refreshed = await (await a.refresh(tokens.refresh_token)).json<{ access_token: string }>();
    expect(atob(refreshed.access_token.split(".")[1]?.replaceAll("-", "+").replaceAll("_", "/") ?? "")).toContain(
      '"role":"admin"',
    );
  });

  test("to disabled ends every session", async () => {
    const edge = new Edge();
    const { id, tokens } = await loggedIn(edge);
    const reply = await sessionsOf(id).noteAccount({ role: "user", status: "disabled", revision: 2 }, holder);
    expect(reply.found).toBe(true);
    expect((await problemOf(await new Edge().users(tokens.access_token))).code).toBe("token_revoked");
    expect((await problemOf(await edge.refresh(tokens.refresh_token))).code).toBe("session_revoked");
  });

  test("that is older than what the object knows changes nothing", async () => {
    const edge = new Edge();
    const { id, tokens } = await loggedIn(edge);
    await sessionsOf(id).noteAccount({ role: "admin", status: "active", revision: 5 }, holder);
    await sessionsOf(id).noteAccount({ role: "user", status: "disabled", revision: 4 }, holder);
    await scheduler.wait(10);
    const me = await new Edge().fetch("/auth/me", { bearer: tokens.access_token });
    expect(await me.json()).toMatchObject({ role: "admin" });
  });
});

describe("reuse of a refresh token", () => {
  test("answers only when no other edge accepts the family any more", async () => {
    const [a, b] = [new Edge({ REFRESH_RACE_SECONDS: "0" }), new Edge()];
    const { tokens } = await loggedIn(a);
    const next = await (await a.refresh(tokens.refresh_token)).json<{ access_token: string }>();
    await b.users(next.access_token);
    const reused = await a.refresh(tokens.refresh_token);
    expect((await problemOf(reused)).code).toBe("refresh_token_reused");
    expect((await b.users(next.access_token)).status).toBe(401);
    expect((await a.users(tokens.access_token)).status).toBe(401);
  });
});

describe("when the session object cannot be reached", () => {
  const unreachable = (error: Error) => {
    const reject = () => Promise.reject(error);
    const stub = { open: reject, refresh: reject, lease: reject, revoke: reject, revokeAll: reject, list: reject };
    return new Edge({ USER_SESSIONS: { getByName: () => stub } });
  };

  test("every endpoint that needs it answers 503, and nothing is let through", async () => {
    const { username, tokens } = await loggedIn(new Edge());
    const { access_token: bearer, refresh_token, session_id } = tokens;
    for (const error of [
      Object.assign(new Error("overloaded"), { overloaded: true, retryable: true }),
      Object.assign(new Error("lost"), { retryable: true }),
      new Error("threw"),
    ]) {
      const edge = unreachable(error);
      const responses = await Promise.all([
        edge.login(username),
        edge.refresh(refresh_token),
        edge.logout(bearer),
        edge.users(bearer),
        edge.fetch("/auth/logout/all", { method: "POST", bearer }),
        edge.fetch("/auth/sessions", { bearer }),
        edge.fetch(`/auth/sessions/${session_id}`, { method: "DELETE", bearer }),
        edge.fetch("/auth/me", { bearer }),
        edge.fetch("/auth/password", { bearer, json: { current_password: "a", new_password: "b" } }),
      ]);
      for (const response of responses) {
        expect(response.status).toBe(503);
        expect(response.headers.get("Retry-After")).toBe("5");
        expect((await problemOf(response)).code).toBe("dependency_unavailable");
      }
    }
  });

  test("a call lost with its machine is made again, once, and rotates once", async () => {
    const { id, tokens } = await loggedIn(new Edge());
    let calls = 0;
    const flaky = {
      getByName: (name: string) => ({
        refresh: async (...message: Parameters<UserSessions["refresh"]>) => {
          const reply = await sessionsOf(name).refresh(...message);
          calls += 1;
          // The object did its work and the answer was lost.
          if (calls === 1) throw Object.assign(new Error("lost"), { retryable: true });
          return reply;
        },
      }),
    };
    const edge = new Edge({ USER_SESSIONS: flaky, REFRESH_RACE_SECONDS: "0" });
    const response = await edge.refresh(tokens.refresh_token);
    expect(response.status).toBe(200);
    expect(calls).toBe(2);
    const next = await response.json<{ refresh_token: string }>();
    expect((await new Edge().refresh(next.refresh_token)).status).toBe(200);
    expect(await sessionsOf(id).list()).toHaveLength(1);
  });
});
