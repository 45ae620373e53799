import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, test, vi } from "vitest";
import { counting, createUser, Edge, freshAddress, PASSWORD, problemOf } from "./support.ts";

const edge = new Edge();

describe("the limit per address", () => {
  test("lets ten logins a minute through and refuses the eleventh with when to come back", async () => {
    const user = await createUser();
    const address = freshAddress();
    for (let left = 9; left >= 0; left--) {
      const response = await edge.login(user.username, PASSWORD, { address });
      expect(response.status).toBe(200);
      expect(response.headers.get("RateLimit-Policy")).toBe('"login";q=10;w=60');
      expect(response.headers.get("RateLimit")).toMatch(new RegExp(`^"login";r=${left};t=\\d+$`));
    }
    const refused = await edge.login(user.username, PASSWORD, { address });
    expect(refused.status).toBe(429);
    expect((await problemOf(refused)).code).toBe("rate_limited");
    const retryAfter = Number(refused.headers.get("Retry-After"));
    expect(retryAfter).toBeGreaterThan(0);
    expect(retryAfter).toBeLessThanOrEqual(60);
    expect(refused.headers.get("RateLimit")).toBe(`"login";r=0;t=${retryAfter}`);

    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + retryAfter * 1000 });
    expect((await edge.login(user.username, PASSWORD, { address })).status).toBe(200);
    vi.useRealTimers();
    expect((await edge.login(user.username)).status).toBe(200);
  });

  test("counts each endpoint for itself, and shows its state on failures too", async () => {
    const address = freshAddress();
    for (let i = 0; i < 10; i++) await edge.fetch("/auth/refresh", { json: { refresh_token: "prt1_x" }, address });
    const refused = await edge.fetch("/auth/refresh", { json: { refresh_token: "prt1_x" }, address });
    expect(refused.status).toBe(429);
    const me = await edge.fetch("/auth/me", { address });
    expect(me.status).toBe(401);
    expect(me.headers.get("RateLimit-Policy")).toBe('"me";q=10;w=60');
  });

  test("lets exactly ten of thirty concurrent requests through", async () => {
    const address = freshAddress();
    const responses = await Promise.all(Array.from({ length: 30 }, () => edge.fetch("/auth/me", { address })));
    expect(responses.filter((response) => response.status === 401)).toHaveLength(10);
    expect(responses.filter((response) => response.status === 429)).toHaveLength(20);
  });

  test("takes a /64 of IPv6 for one address", async () => {
    for (let host = 0; host < 10; host++) {
      const response = await edge.fetch("/auth/me", { address: `2001:db8:ffff:1::${host.toString(16)}` });
      expect(response.status).toBe(401);
    }
    expect((await edge.fetch("/auth/me", { address: "2001:db8:ffff:1:ffff::1" })).status).toBe(429);
    expect((await edge.fetch("/auth/me", { address: "2001:db8:ffff:2::1" })).status).toBe(401);
  });

  test("is not forgotten when the counter leaves memory", async () => {
    for (let i = 0; i < 10; i++) await edge.fetch("/auth/me", { address: "192.0.2.77" });
    await evictDurableObject(env.COUNTERS.getByName("me 192.0.2.77"));
    expect((await new Edge().fetch("/auth/me", { address: "192.0.2.77" })).status).toBe(429);
  });

  test("asks nobody once denied, until the denial ends", async () => {
    const { proxy, calls } = counting(env.COUNTERS, ["getByName"]);
    const counted = new Edge({ COUNTERS: proxy });
    const address = freshAddress();
    for (let i = 0; i < 11; i++) await counted.fetch("/auth/me", { address });
    expect(calls()).toBe(11);
    for (let i = 0; i < 50; i++) expect((await counted.fetch("/auth/me", { address })).status).toBe(429);
    expect(calls()).toBe(11);
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 60_001 });
    expect((await counted.fetch("/auth/me", { address })).status).toBe(401);
    expect(calls()).toBe(12);
    vi.useRealTimers();
  });

  test("leaves nothing behind once its window is empty", async () => {
    await edge.fetch("/auth/me", { address: "192.0.2.78" });
    const stub = env.COUNTERS.getByName("me 192.0.2.78");
    expect(await runDurableObjectAlarm(stub)).toBe(true);
    expect(await runInDurableObject(stub, (_, state) => state.storage.list())).toHaveProperty("size", 1);
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 60_001 });
    expect(await runDurableObjectAlarm(stub)).toBe(true);
    expect(await runInDurableObject(stub, (_, state) => state.storage.list())).toHaveProperty("size", 0);
    vi.useRealTimers();
  });

  test("refuses everyone when the counters cannot be reached", async () => {
    const away = () => Promise.reject(new Error("overloaded"));
    const room = () => Promise.resolve({ allowed: true, remaining: 9, resetMs: 60_000 });
    for (const stub of [
      { hit: away, attempt: away },
      { hit: room, attempt: away },
    ]) {
      const response = await new Edge({ COUNTERS: { getByName: () => stub } }).login("anybody");
      expect(response.status).toBe(503);
      expect((await problemOf(response)).code).toBe("dependency_unavailable");
    }
  });
});
