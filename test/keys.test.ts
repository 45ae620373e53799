// Rotation of the signing keys: by the cron, by hand, after a compromise, and of the secret that seals them.
import { env } from "cloudflare:workers";
import { createLocalJWKSet, jwtVerify } from "jose";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Edge, loggedIn, problemOf, type TokenResponse } from "./support.ts";

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;

interface Listed {
  readonly kid: string;
  readonly state: string;
  readonly active_at: string;
}

const start = Date.parse("2026-11-01T00:00:00Z");

beforeEach(async () => {
  await env.DB.exec("DELETE FROM signing_keys");
  vi.useFakeTimers({ toFake: ["Date"], now: start });
});
afterEach(() => {
  vi.useRealTimers();
});

async function asAdmin(
  edge: Edge,
): Promise<{ keys: () => Promise<Listed[]>; rotate: (body?: unknown) => Promise<Response> }> {
  const admin = await loggedIn(edge, "admin");
  let tokens: TokenResponse = admin.tokens;
  const bearer = async () => {
    const response = await edge.refresh(tokens.refresh_token);
    tokens = await response.json<TokenResponse>();
    return tokens.access_token;
  };
  return {
    keys: async () =>
      (await (await edge.fetch("/admin/keys", { bearer: await bearer() })).json<{ keys: Listed[] }>()).keys,
    rotate: async (body) =>
      edge.fetch("/admin/keys/rotate", {
        method: "POST",
        bearer: await bearer(),
        ...(body === undefined ? {} : { json: body }),
      }),
  };
}

const statesOf = (keys: readonly Listed[]) => keys.map((key) => key.state);

describe("the cron", () => {
  test("mints the next key a day before it is due, publishes it, and lets it sign when it is", async () => {
    const edge = new Edge();
    await asAdmin(edge);
    vi.setSystemTime(start + 28 * DAY_MS);
    await edge.maintain();
    expect(statesOf(await (await asAdmin(edge)).keys())).toEqual(["current"]);

    vi.setSystemTime(start + 29 * DAY_MS);
    const fresh = await asAdmin(new Edge());
    await edge.maintain();
    await edge.maintain();
    expect(statesOf(await fresh.keys())).toEqual(["next", "current"]);
    const published = await (await new Edge().fetch("/.well-known/jwks.json")).json<{ keys: unknown[] }>();
    expect(published.keys).toHaveLength(2);

    vi.setSystemTime(start + 30 * DAY_MS);
    const later = await asAdmin(new Edge());
    expect(statesOf(await later.keys())).toEqual(["current", "retired"]);
    vi.setSystemTime(start + 30 * DAY_MS + 906_000);
    expect(statesOf(await later.keys())).toEqual(["current", "expired"]);
    vi.setSystemTime(start + 59 * DAY_MS);
    await edge.maintain();
    vi.setSystemTime(start + 61 * DAY_MS);
    await edge.maintain();
    const rows = await env.DB.prepare("SELECT count(*) AS n FROM signing_keys").first<{ n: number }>();
    expect(rows?.n).toBe(2);
  });

  test("that was missed for forty days takes up where it is, and nobody is refused meanwhile", async () => {
    const edge = new Edge();
    await asAdmin(edge);
    vi.setSystemTime(start + 70 * DAY_MS);
    const { tokens } = await loggedIn(edge);
    expect((await edge.users(tokens.access_token)).status).toBe(200);
    await edge.maintain();
    const admin = await asAdmin(new Edge());
    expect(statesOf(await admin.keys())).toEqual(["next", "current"]);
    vi.setSystemTime(start + 71 * DAY_MS);
    expect(statesOf(await (await asAdmin(new Edge())).keys())).toEqual(["current", "retired"]);
  });

  test("does nothing but complain when the configuration is bad", async () => {
    const logged = vi.spyOn(console, "error").mockImplementation(() => undefined);
    await new Edge({ AUDIENCE: "" }).maintain();
    expect(logged).toHaveBeenCalledWith(expect.stringContaining("AUDIENCE"));
    logged.mockRestore();
  });
});

describe("a rotation under load", () => {
  test("produces no 401: not at cold edges, not at warm ones, not at a verifier that keeps the JWKS for its full max-age", async () => {
    const [warm, other] = [new Edge(), new Edge()];
    const jwks = async () =>
      (await (await other.fetch("/.well-known/jwks.json")).json()) as Parameters<typeof createLocalJWKSet>[0];
    let cached = { keys: await jwks(), at: Date.now() };
    const strict = async (token: string) => {
      // 300 s of max-age, and no refetch on an unknown kid: the strictest reading of the header.
      if (Date.now() - cached.at >= 300_000) cached = { keys: await jwks(), at: Date.now() };
      const options = {
        algorithms: ["RS256"],
        issuer: "http://127.0.0.1:8787",
        audience: "postern-demo",
        currentDate: new Date(),
      };
      await jwtVerify(token, createLocalJWKSet(cached.keys), options);
    };
    const admin = await asAdmin(warm);
    expect((await admin.rotate()).status).toBe(200);
    let { tokens } = await loggedIn(warm);
    const kids = new Set<string>();
    for (let minute = 0; minute <= 40; minute++) {
      vi.setSystemTime(start + minute * MINUTE_MS);
      const issuing = minute % 2 === 0 ? warm : other;
      const refreshed = await issuing.refresh(tokens.refresh_token);
      expect(refreshed.status).toBe(200);
      tokens = await refreshed.json<TokenResponse>();
      kids.add(tokens.access_token.split(".")[0] ?? "");
      for (const edge of [warm, other, new Edge()]) expect((await edge.users(tokens.access_token)).status).toBe(200);
      await strict(tokens.access_token);
    }
    expect(kids.size).toBe(2);
  });

  test("brings a key that was to come later forward, and makes no second one", async () => {
    const edge = new Edge();
    await asAdmin(edge);
    vi.setSystemTime(start + 29 * DAY_MS + HOUR_MS);
    await edge.maintain();
    const admin = await asAdmin(new Edge());
    await admin.rotate();
    const keys = await admin.keys();
    expect(statesOf(keys)).toEqual(["next", "current"]);
    expect(Date.parse(keys[0]?.active_at ?? "")).toBe(start + 29 * DAY_MS + HOUR_MS + 11 * MINUTE_MS);
  });
});

describe("a compromised key", () => {
  test("is out at once: its tokens are refused, sessions refresh, JWKS no longer names it", async () => {
    const edge = new Edge();
    const victim = await loggedIn(edge);
    const admin = await asAdmin(edge);
    const response = await admin.rotate({ compromised: true });
    expect(response.status).toBe(200);
    const { keys } = await response.json<{ keys: Listed[] }>();
    expect(statesOf(keys).toSorted()).toEqual(["current", "withdrawn"]);
    const refused = await edge.users(victim.tokens.access_token);
    expect((await problemOf(refused)).code).toBe("invalid_token");
    const refreshed = await edge.refresh(victim.tokens.refresh_token);
    expect(refreshed.status).toBe(200);
    expect((await edge.users((await refreshed.json<TokenResponse>()).access_token)).status).toBe(200);
    const published = await (await edge.fetch("/.well-known/jwks.json")).json<{ keys: { kid: string }[] }>();
    expect(published.keys.map(({ kid }) => kid)).toEqual([keys.find((key) => key.state === "current")?.kid]);
  });

  test("is refused by every other edge when its cache ends, a minute later at the most", async () => {
    const [edge, other] = [new Edge(), new Edge()];
    const { tokens } = await loggedIn(edge);
    expect((await other.users(tokens.access_token)).status).toBe(200);
    await (await asAdmin(edge)).rotate({ compromised: true });
    vi.setSystemTime(start + MINUTE_MS);
    expect((await other.users(tokens.access_token)).status).toBe(401);
  });
});

describe("AUTH_SECRET", () => {
  test("can be changed: keys are sealed anew by the cron, refresh tokens and sessions go on", async () => {
    const { tokens } = await loggedIn(new Edge());
    const AUTH_SECRET = btoa("another-secret-of-exactly-32-byt");
    const during = new Edge({ AUTH_SECRET, AUTH_SECRET_PREVIOUS: env.AUTH_SECRET });
    await during.maintain();
    const next = await (await during.refresh(tokens.refresh_token)).json<TokenResponse>();

    const after = new Edge({ AUTH_SECRET });
    expect((await after.fetch("/readyz")).status).toBe(200);
    expect((await after.users(tokens.access_token)).status).toBe(200);
    expect((await after.refresh(next.refresh_token)).status).toBe(200);
  });

  test("that opens nothing leaves the keys as they are", async () => {
    await loggedIn(new Edge());
    const before = await env.DB.prepare("SELECT private_key FROM signing_keys").first();
    const stranger = btoa("a-stranger-s-secret-of-32-bytes!");
    await new Edge({ AUTH_SECRET: stranger, AUTH_SECRET_PREVIOUS: stranger }).maintain();
    expect(await env.DB.prepare("SELECT private_key FROM signing_keys").first()).toEqual(before);
  });
});
