import { env } from "cloudflare:workers";
import { describe, expect, test, vi } from "vitest";
import { counting, Edge, loggedIn, problemOf } from "./support.ts";

interface KeySet {
  readonly keys: readonly Record<string, unknown>[];
}

const keySet = async (edge: Edge): Promise<KeySet> => (await edge.fetch("/.well-known/jwks.json")).json<KeySet>();

describe("the keyring", () => {
  test("mints one key, however many isolates start at once, and all of them use it", async () => {
    const edges = Array.from({ length: 4 }, () => new Edge());
    const sets = await Promise.all(edges.map(keySet));
    expect(new Set(sets.map((set) => JSON.stringify(set))).size).toBe(1);
    const rows = await env.DB.prepare("SELECT count(*) AS n FROM signing_keys").first<{ n: number }>();
    expect(rows?.n).toBe(1);
    const [first, second] = edges as [Edge, Edge];
    const { tokens } = await loggedIn(first);
    expect((await second.users(tokens.access_token)).status).toBe(200);
  });

  test("publishes public members only, cacheable, with an ETag that answers 304", async () => {
    const edge = new Edge();
    const response = await edge.fetch("/.well-known/jwks.json");
    expect(response.headers.get("Content-Type")).toMatch(/^application\/jwk-set\+json/);
    expect(response.headers.get("Cache-Control")).toBe("public, max-age=300");
    const { keys } = await response.json<KeySet>();
    expect(keys.map((key) => Object.keys(key).toSorted())).toEqual([["alg", "e", "kid", "kty", "n", "use"]]);
    const etag = response.headers.get("ETag") ?? "";
    for (const header of [etag, `W/${etag}`, `"other", ${etag}`, "*"]) {
      const again = await edge.fetch("/.well-known/jwks.json", { headers: { "If-None-Match": header } });
      expect(again.status).toBe(304);
      expect(again.headers.get("ETag")).toBe(etag);
    }
    expect((await edge.fetch("/.well-known/jwks.json", { headers: { "If-None-Match": '"other"' } })).status).toBe(200);
  });

  test("keeps no private key readable in the database", async () => {
    await keySet(new Edge());
    const row = await env.DB.prepare("SELECT private_key FROM signing_keys").first<{ private_key: number[] }>();
    const sealed = Uint8Array.from(row?.private_key ?? []);
    const imported = crypto.subtle.importKey("pkcs8", sealed, { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" }, false, [
      "sign",
    ]);
    await expect(imported).rejects.toThrow();
  });

  test("asks the database once for many concurrent requests, then not for half a minute", async () => {
    const { proxy, calls } = counting(env.DB, ["withSession"]);
    const edge = new Edge({ DB: proxy });
    await Promise.all(Array.from({ length: 10 }, () => keySet(edge)));
    await keySet(edge);
    expect(calls()).toBe(1);
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 29_000 });
    await keySet(edge);
    expect(calls()).toBe(1);
    vi.useRealTimers();
  });

  test("looks again before its minute is over without keeping a request waiting, and after it before it answers", async () => {
    let isHanging = false;
    let hung = 0;
    const proxy = new Proxy(env.DB, {
      get(object, property) {
        if (isHanging && property === "withSession") {
          hung += 1;
          return () => ({ prepare: () => ({ all: () => scheduler.wait(200).then(() => ({ results: [] })) }) });
        }
        const value: unknown = Reflect.get(object, property, object);
        return typeof value === "function" ? (value.bind(object) as unknown) : value;
      },
    });
    const edge = new Edge({ DB: proxy });
    const { tokens } = await loggedIn(edge);
    const start = Date.now();
    isHanging = true;
    vi.useFakeTimers({ toFake: ["Date"], now: start + 40_000 });
    // The answer that hangs would be an empty key set: whoever waited for it would be refused.
    expect((await edge.users(tokens.access_token)).status).toBe(200);
    expect(hung).toBe(1);
    isHanging = false;
    vi.setSystemTime(start + 120_000);
    const { proxy: counted, calls } = counting(env.DB, ["withSession"]);
    const later = new Edge({ DB: counted });
    await keySet(later);
    vi.setSystemTime(start + 181_000);
    await keySet(later);
    expect(calls()).toBe(2);
    vi.useRealTimers();
  });

  test("looks for an unknown kid at most once in ten seconds", async () => {
    const { proxy, calls } = counting(env.DB, ["withSession"]);
    const edge = new Edge({ DB: proxy });
    await keySet(edge);
    const header = btoa(JSON.stringify({ alg: "RS256", typ: "at+jwt", kid: "nobody" })).replaceAll("=", "");
    const flood = () => Promise.all(Array.from({ length: 20 }, () => edge.users(`${header}.e30.AAAA`)));
    const refused = await flood();
    expect(new Set(refused.map((response) => response.status))).toEqual(new Set([401]));
    expect(calls()).toBe(1);
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 11_000 });
    await flood();
    await flood();
    expect(calls()).toBe(2);
    vi.useRealTimers();
  });

  test("serves on with what it has when the database is away, and fails closed when it has nothing", async () => {
    let isAway = false;
    const proxy = new Proxy(env.DB, {
      get(object, property) {
        if (isAway) throw new Error("D1_ERROR: Network connection lost");
        const value: unknown = Reflect.get(object, property, object);
        return typeof value === "function" ? value.bind(object) : value;
      },
    });
    const edge = new Edge({ DB: proxy });
    const { tokens } = await loggedIn(edge);
    isAway = true;
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 600_000 });
    expect((await edge.users(tokens.access_token)).status).toBe(200);
    expect((await edge.refresh(tokens.refresh_token)).status).toBe(200);
    expect((await edge.fetch("/.well-known/jwks.json")).status).toBe(200);
    const login = await edge.login("anybody");
    expect(login.status).toBe(503);
    expect(login.headers.get("Retry-After")).toBe("5");
    const ready = await edge.fetch("/readyz");
    expect(ready.status).toBe(503);
    expect(await ready.json()).toEqual({ status: "unavailable", failed: ["database"] });
    vi.useRealTimers();

    const cold = new Edge({ DB: proxy });
    const response = await cold.users(tokens.access_token);
    expect(response.status).toBe(503);
    expect((await problemOf(response)).code).toBe("dependency_unavailable");
    expect((await cold.fetch("/.well-known/jwks.json")).status).toBe(503);
    expect(await (await cold.fetch("/readyz")).json()).toEqual({ status: "unavailable", failed: ["database", "keys"] });
  });

  test("opens the signing key with the previous secret while AUTH_SECRET is being changed", async () => {
    const before = new Edge();
    const { tokens } = await loggedIn(before);
    const secret = btoa("another-secret-of-exactly-32-byt");
    const during = new Edge({ AUTH_SECRET: secret, AUTH_SECRET_PREVIOUS: env.AUTH_SECRET });
    expect((await during.users(tokens.access_token)).status).toBe(200);
    expect((await during.refresh(tokens.refresh_token)).status).toBe(200);
    expect((await during.fetch("/readyz")).status).toBe(200);
    const without = new Edge({ AUTH_SECRET: secret });
    expect((await without.fetch("/readyz")).status).toBe(503);
    expect((await problemOf(await without.refresh(tokens.refresh_token))).code).toBe("invalid_refresh_token");
  });
});
