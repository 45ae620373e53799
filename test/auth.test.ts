import { evictDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, test, vi } from "vitest";
import { cookieOf, createUser, Edge, loggedIn, PASSWORD, problemOf, type TokenResponse } from "./support.ts";

const edge = new Edge();

function decodeClaims(token: string): Record<string, unknown> {
  const [, payload = ""] = token.split(".");
  return JSON.parse(new TextDecoder().decode(Uint8Array.fromBase64(payload, { alphabet: "base64url" })));
}

describe("POST /auth/login", () => {
  test("answers a right password with both tokens and their lifetimes", async () => {
    const user = await createUser();
    const response = await edge.login(user.username);
    expect(response.status).toBe(200);
    expect(response.headers.get("Cache-Control")).toBe("no-store");
    expect(response.headers.get("Content-Type")).toBe("application/json; charset=utf-8");
    const body = await response.json<TokenResponse>();
    expect(body).toMatchObject({ token_type: "Bearer", expires_in: 900, refresh_expires_in: 604_800 });
    expect(body.refresh_token).toMatch(/^prt1_[A-Za-z0-9_-]{91}$/);
    const claims = decodeClaims(body.access_token);
    expect(Object.keys(claims).toSorted()).toEqual(
      ["aud", "client_id", "exp", "iat", "iss", "jti", "role", "sid", "sub"].toSorted(),
    );
    expect(claims).toMatchObject({ sub: user.id, sid: body.session_id, role: "user", client_id: "postern" });
    expect(JSON.stringify(claims)).not.toContain(user.username);
  });

  test("finds a user by any spelling of the name that folds to the same", async () => {
    await createUser({ username: "Straße-Ünïque" });
    expect((await edge.login("STRASSE-ÜNÏQUE")).status).toBe(200);
  });

  test("answers an unknown user and a wrong password alike", async () => {
    const user = await createUser();
    const wrong = await edge.login(user.username, "not the password at all");
    const unknown = await edge.login("nobody-of-that-name", "not the password at all");
    expect([wrong.status, unknown.status]).toEqual([401, 401]);
    const [a, b] = [await problemOf(wrong), await problemOf(unknown)];
    expect(a).toMatchObject({ code: "invalid_credentials" });
    expect({ ...a, request_id: "" }).toEqual({ ...b, request_id: "" });
    expect(wrong.headers.get("WWW-Authenticate")).toBe('Bearer realm="postern"');
  });

  test("says that an account is disabled only after a right password", async () => {
    const user = await createUser({ status: "disabled" });
    expect((await problemOf(await edge.login(user.username, "wrong password, this one"))).code).toBe(
      "invalid_credentials",
    );
    const response = await edge.login(user.username);
    expect(response.status).toBe(403);
    expect((await problemOf(response)).code).toBe("account_disabled");
  });

  test("makes a hash with older parameters anew", async () => {
    const { createPasswordHasher } = await import("../src/accounts/password-hash.ts");
    const { runtime } = await import("../src/services.ts");
    const { default: Argon2 } = await import("@phi-ag/argon2");
    const { default: wasm } = await import("@phi-ag/argon2/argon2.wasm");
    const old = new Argon2(new WebAssembly.Instance(wasm)).hash(PASSWORD, {
      memoryCost: 8192,
      timeCost: 1,
      parallelism: 1,
    }).encoded;
    const user = await createUser({ passwordHash: old });
    expect((await edge.login(user.username)).status).toBe(200);
    await vi.waitFor(async () => {
      const row = await env.DB.prepare("SELECT password_hash AS hash FROM users WHERE id = ?")
        .bind(user.id)
        .first<{ hash: string }>();
      expect(row?.hash).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
      expect(createPasswordHasher(runtime).verify(row?.hash ?? "", PASSWORD)).toBe(true);
    });
  });

  test("delivers the refresh token as a cookie only, when asked to", async () => {
    const user = await createUser();
    const response = await edge.fetch("/auth/login", {
      json: { username: user.username, password: PASSWORD, delivery: "cookie" },
    });
    expect(await response.json<TokenResponse>()).not.toHaveProperty("refresh_token");
    const [cookie = ""] = response.headers.getSetCookie();
    expect(cookie).toMatch(/^__Host-refresh_token=prt1_/);
    for (const attribute of ["HttpOnly", "Secure", "SameSite=Strict", "Path=/", "Max-Age=604800"]) {
      expect(cookie).toContain(attribute);
    }
    expect(cookie).not.toContain("Domain");
  });
});

describe("POST /auth/refresh", () => {
  test("gives a new refresh token and a new access token for the same session", async () => {
    const { tokens } = await loggedIn(edge);
    const response = await edge.refresh(tokens.refresh_token);
    expect(response.status).toBe(200);
    expect(response.headers.get("Postern-Refresh")).toBe("rotated");
    expect(response.headers.get("Cache-Control")).toBe("no-store");
    const next = await response.json<TokenResponse>();
    expect(next.session_id).toBe(tokens.session_id);
    expect(next.refresh_token).not.toBe(tokens.refresh_token);
    expect(next.access_token).not.toBe(tokens.access_token);
    expect((await edge.users(next.access_token)).status).toBe(200);
    expect((await edge.users(tokens.access_token)).status).toBe(200);
  });

  test("replays the same successor inside the race window, and revokes the family after it", async () => {
    const { tokens } = await loggedIn(edge);
    const first = await (await edge.refresh(tokens.refresh_token)).json<TokenResponse>();
    const replay = await edge.refresh(tokens.refresh_token);
    expect(replay.headers.get("Postern-Refresh")).toBe("replayed");
    expect((await replay.json<TokenResponse>()).refresh_token).toBe(first.refresh_token);

    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 11_000 });
    const reused = await edge.refresh(tokens.refresh_token);
    expect(reused.status).toBe(401);
    expect((await problemOf(reused)).code).toBe("refresh_token_reused");
    expect((await problemOf(await edge.refresh(first.refresh_token))).code).toBe("session_revoked");
    expect((await problemOf(await edge.users(first.access_token))).code).toBe("token_revoked");
    vi.useRealTimers();
  });

  test("replays at any later time to whoever sends the Idempotency-Key of the rotation", async () => {
    const { tokens } = await loggedIn(edge);
    const key = { "Idempotency-Key": "2f1c0a44-once-and-for-all" };
    const first = await (await edge.refresh(tokens.refresh_token, key)).json<TokenResponse>();
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 6 * 3_600_000 });
    const replay = await edge.refresh(tokens.refresh_token, key);
    expect(replay.headers.get("Postern-Refresh")).toBe("replayed");
    expect((await replay.json<TokenResponse>()).refresh_token).toBe(first.refresh_token);
    expect((await edge.refresh(tokens.refresh_token, { "Idempotency-Key": "another" })).status).toBe(401);
    vi.useRealTimers();
  });

  test.each([[""], ["x".repeat(256)], ["käse"]])("refuses the Idempotency-Key %j", async (key) => {
    const { tokens } = await loggedIn(edge);
    const response = await edge.refresh(tokens.refresh_token, { "Idempotency-Key": key });
    expect(response.status).toBe(400);
    expect((await edge.refresh(tokens.refresh_token)).headers.get("Postern-Refresh")).toBe("rotated");
  });

  test("gives 20 concurrent refreshes of one token one generation and one successor", async () => {
    const { tokens } = await loggedIn(edge);
    const responses = await Promise.all(Array.from({ length: 20 }, () => edge.refresh(tokens.refresh_token)));
    expect(responses.map((response) => response.status)).toEqual(Array(20).fill(200));
    const outcomes = responses.map((response) => response.headers.get("Postern-Refresh"));
    expect(outcomes.filter((outcome) => outcome === "rotated")).toHaveLength(1);
    const bodies = await Promise.all(responses.map((response) => response.json<TokenResponse>()));
    expect(new Set(bodies.map((body) => body.refresh_token)).size).toBe(1);
  });

  test("remembers its families when the object leaves memory", async () => {
    const { id, tokens } = await loggedIn(edge);
    const next = await (await edge.refresh(tokens.refresh_token)).json<TokenResponse>();
    await evictDurableObject(env.USER_SESSIONS.getByName(id));
    const replay = await edge.refresh(tokens.refresh_token);
    expect((await replay.json<TokenResponse>()).refresh_token).toBe(next.refresh_token);
    await evictDurableObject(env.USER_SESSIONS.getByName(id));
    expect((await edge.refresh(next.refresh_token)).headers.get("Postern-Refresh")).toBe("rotated");
  });

  test("refuses a session that was idle for seven days, or is ninety days old", async () => {
    const { tokens } = await loggedIn(edge);
    const start = Date.now();
    const day = 86_400_000;
    vi.useFakeTimers({ toFake: ["Date"], now: start });
    let current = tokens.refresh_token;
    for (let age = 6; age < 90; age += 6) {
      vi.setSystemTime(start + age * day);
      const response = await edge.refresh(current);
      expect(response.status).toBe(200);
      const body = await response.json<TokenResponse>();
      expect(body.refresh_expires_in).toBeLessThanOrEqual((90 - age) * 86_400);
      current = body.refresh_token;
    }
    vi.setSystemTime(start + 90 * day);
    expect((await problemOf(await edge.refresh(current))).code).toBe("refresh_token_expired");

    vi.setSystemTime(start);
    const idle = await loggedIn(edge);
    vi.setSystemTime(start + 7 * day);
    expect((await problemOf(await edge.refresh(idle.tokens.refresh_token))).code).toBe("refresh_token_expired");
    vi.useRealTimers();
  });

  test("issues no access token that outlives its session", async () => {
    const short = new Edge({ REFRESH_MAX_SECONDS: "60" });
    const { tokens } = await loggedIn(short);
    expect(tokens).toMatchObject({ expires_in: 60, refresh_expires_in: 60 });
  });

  test("refuses a token with any character changed", async () => {
    const { tokens } = await loggedIn(edge);
    const token = tokens.refresh_token;
    for (const at of [4, 5, 30, 50, 70, token.length - 1]) {
      const changed = `${token.slice(0, at)}${token[at] === "A" ? "B" : "A"}${token.slice(at + 1)}`;
      const response = await edge.refresh(changed);
      expect((await problemOf(response)).code).toBe("invalid_refresh_token");
    }
    expect((await problemOf(await edge.refresh(`${token}=`))).code).toBe("invalid_refresh_token");
    expect((await edge.refresh(token)).status).toBe(200);
  });

  test("keeps to the cookie a session that began with one, and asks where it comes from", async () => {
    const user = await createUser();
    const login = await edge.fetch("/auth/login", {
      json: { username: user.username, password: PASSWORD, delivery: "cookie" },
    });
    const cookie = `other=1; __Host-refresh_token=${cookieOf(login, "__Host-refresh_token")}`;
    const post = (headers: Record<string, string>, target = edge) =>
      target.fetch("/auth/refresh", { method: "POST", headers: { Cookie: cookie, ...headers } });

    const rejected = await post({ Origin: "https://evil.example" });
    expect(rejected.status).toBe(403);
    expect((await problemOf(rejected)).code).toBe("csrf_rejected");
    expect((await post({ "Sec-Fetch-Site": "cross-site" })).status).toBe(403);
    expect((await post({ "Sec-Fetch-Site": "same-site" })).status).toBe(403);
    expect((await post({ Origin: "null" })).status).toBe(403);

    const accepted = await post({ Origin: "http://127.0.0.1:8787", "Sec-Fetch-Site": "same-origin" });
    expect(accepted.status).toBe(200);
    expect(cookieOf(accepted, "__Host-refresh_token")).toMatch(/^prt1_/);
    expect(await accepted.json<TokenResponse>()).not.toHaveProperty("refresh_token");
    expect((await post({ "Sec-Fetch-Site": "same-origin" })).status).toBe(200);

    const configured = new Edge({ CORS_ORIGINS: "https://app.example" });
    expect((await post({ Origin: "https://app.example" }, configured)).status).toBe(200);
  });

  test("asks for a refresh token when there is none", async () => {
    const nothing = await edge.fetch("/auth/refresh", { method: "POST" });
    expect(nothing.status).toBe(401);
    expect((await problemOf(nothing)).code).toBe("missing_token");
    const empty = await edge.fetch("/auth/refresh", { json: {} });
    expect(empty.status).toBe(400);
    expect((await problemOf(empty)).errors).toEqual([{ path: "refresh_token", message: "must be a string" }]);
  });
});

describe("POST /auth/logout", () => {
  test("revokes the session of the bearer, and again is no error", async () => {
    const { tokens } = await loggedIn(edge);
    expect((await edge.users(tokens.access_token)).status).toBe(200);
    const response = await edge.logout(tokens.access_token);
    expect(response.status).toBe(204);
    expect(cookieOf(response, "__Host-refresh_token")).toBe("");
    const refused = await edge.users(tokens.access_token);
    expect(refused.status).toBe(401);
    expect(refused.headers.get("WWW-Authenticate")).toContain('error="invalid_token"');
    expect((await problemOf(refused)).code).toBe("token_revoked");
    expect((await problemOf(await edge.refresh(tokens.refresh_token))).code).toBe("session_revoked");
    expect((await edge.logout(tokens.access_token)).status).toBe(204);
  });

  test("takes a refresh token in the body, and one beside an expired bearer", async () => {
    const byBody = await loggedIn(edge);
    const response = await edge.fetch("/auth/logout", { json: { refresh_token: byBody.tokens.refresh_token } });
    expect(response.status).toBe(204);
    expect((await problemOf(await edge.users(byBody.tokens.access_token))).code).toBe("token_revoked");

    const late = await loggedIn(edge);
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 3_600_000 });
    const both = await edge.fetch("/auth/logout", {
      json: { refresh_token: late.tokens.refresh_token },
      bearer: late.tokens.access_token,
    });
    expect(both.status).toBe(204);
    expect((await problemOf(await edge.refresh(late.tokens.refresh_token))).code).toBe("session_revoked");
    expect((await problemOf(await edge.logout(late.tokens.access_token))).code).toBe("token_expired");
    vi.useRealTimers();
  });

  test("ends both sessions when bearer and refresh token name two", async () => {
    const user = await loggedIn(edge);
    const second = await (await edge.login(user.username)).json<TokenResponse>();
    const response = await edge.fetch("/auth/logout", {
      json: { refresh_token: second.refresh_token },
      bearer: user.tokens.access_token,
    });
    expect(response.status).toBe(204);
    for (const token of [user.tokens.refresh_token, second.refresh_token]) {
      expect((await problemOf(await edge.refresh(token))).code).toBe("session_revoked");
    }
  });

  test("takes the cookie, from the same origin only", async () => {
    const user = await createUser();
    const login = await edge.fetch("/auth/login", {
      json: { username: user.username, password: PASSWORD, delivery: "cookie" },
    });
    const Cookie = `__Host-refresh_token=${cookieOf(login, "__Host-refresh_token")}`;
    const foreign = { Cookie, Origin: "https://evil.example" };
    expect((await edge.fetch("/auth/logout", { method: "POST", headers: foreign })).status).toBe(403);
    const own = { Cookie, Origin: "http://127.0.0.1:8787" };
    expect((await edge.fetch("/auth/logout", { method: "POST", headers: own })).status).toBe(204);
  });

  test("needs a credential", async () => {
    const none = await edge.fetch("/auth/logout", { method: "POST" });
    expect(none.status).toBe(401);
    expect((await problemOf(none)).code).toBe("missing_token");
    const forged = await edge.fetch("/auth/logout", { json: { refresh_token: "prt1_forged" } });
    expect((await problemOf(forged)).code).toBe("invalid_refresh_token");
  });
});
