import { env } from "cloudflare:workers";
import { base64url, exportJWK, SignJWT } from "jose";
import { beforeAll, describe, expect, test, vi } from "vitest";
import { Edge, loggedIn, problemOf } from "./support.ts";

const edge = new Edge();

interface Jwk {
  readonly kid: string;
  readonly n: string;
  readonly e: string;
}

let good: { access: string; userId: string; sessionId: string };
let published: Jwk;
/** The Worker's own private key, so that a test can sign what the Worker never would. */
let privateKey: CryptoKey;

beforeAll(async () => {
  const { tokens, id } = await loggedIn(edge);
  good = { access: tokens.access_token, userId: id, sessionId: tokens.session_id };
  const { keys } = await (await edge.fetch("/.well-known/jwks.json")).json<{ keys: Jwk[] }>();
  [published] = keys as [Jwk];
  const { createKeyStore } = await import("../src/tokens/key-store.ts");
  const { keysFor } = await import("../src/kit/secrets.ts");
  const { runtime } = await import("../src/services.ts");
  const secrets = { current: Uint8Array.fromBase64(env.AUTH_SECRET), previous: null };
  const store = createKeyStore(env.DB, keysFor(secrets, "signing-key-at-rest", "aes-gcm"), 2048, runtime);
  const stored = await store.readAll();
  const [key] = stored.ok ? stored.value : [];
  if (key === undefined) throw new Error("no signing key");
  const opened = await store.open(key);
  if (opened === null) throw new Error("the signing key does not open");
  privateKey = opened;
});

interface Forgery {
  readonly header?: Record<string, unknown>;
  readonly claims?: Record<string, unknown>;
  readonly without?: string;
}

/** A token signed with the right key, off in one respect. */
async function signed({ header = {}, claims = {}, without = "" }: Forgery = {}): Promise<string> {
  const now = Math.floor(Date.now() / 1000);
  const all: Record<string, unknown> = {
    iss: "http://127.0.0.1:8787",
    aud: "postern-demo",
    sub: good.userId,
    sid: good.sessionId,
    role: "user",
    client_id: "postern",
    iat: now,
    exp: now + 900,
    jti: "a",
    ...claims,
  };
  delete all[without];
  return new SignJWT(all)
    .setProtectedHeader({ alg: "RS256", typ: "at+jwt", kid: published.kid, ...header })
    .sign(privateKey);
}

async function refusal(token: string): Promise<{ status: number; code: string; detail: string }> {
  const response = await edge.users(token);
  const { code, detail = "" } = await problemOf(response);
  return { status: response.status, code, detail };
}

const encode = (value: unknown) => base64url.encode(JSON.stringify(value));

describe("an access token", () => {
  test("is accepted as issued, and as signed anew with the same claims", async () => {
    expect((await edge.users(good.access)).status).toBe(200);
    expect((await edge.users(await signed())).status).toBe(200);
  });

  test("is refused when a character of any segment is changed", async () => {
    const segments = good.access.split(".");
    for (const index of [0, 1, 2]) {
      const changed = segments.map((segment, at) =>
        at === index ? segment.slice(0, 20) + (segment[20] === "A" ? "B" : "A") + segment.slice(21) : segment,
      );
      expect(await refusal(changed.join("."))).toMatchObject({ status: 401, code: "invalid_token" });
    }
  });

  test.each([
    ["", "missing_token"],
    ["x", "invalid_token"],
    ["a.b", "invalid_token"],
    ["a.b.c.d", "invalid_token"],
    ["..", "invalid_token"],
    ["!!.!!.!!", "invalid_token"],
    [`${"A".repeat(5000)}.A.A`, "invalid_token"],
  ])("is refused as %j", async (token, code) => {
    const response = await edge.fetch("/api/users", { headers: { Authorization: `Bearer ${token}` } });
    expect(response.status).toBe(401);
    expect((await problemOf(response)).code).toBe(code);
  });

  test("has one spelling: padding, blanks and spare bits are malformed", async () => {
    const last = good.access.at(-1) ?? "";
    const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const sibling = alphabet[alphabet.indexOf(last) ^ 1] ?? "";
    for (const spelling of [
      `${good.access}==`,
      `${good.access.slice(0, -1)}${sibling}`,
      good.access.replace(".", ". "),
    ]) {
      expect(await refusal(spelling)).toMatchObject({
        code: "invalid_token",
        detail: expect.stringContaining("malformed"),
      });
    }
  });

  test("is refused without a signature: alg none", async () => {
    const [, payload] = good.access.split(".");
    for (const alg of ["none", "None", "NONE"]) {
      const header = encode({ alg, typ: "at+jwt", kid: published.kid });
      expect(await refusal(`${header}.${payload}.`)).toMatchObject({ code: "invalid_token" });
      expect(await refusal(`${header}.${payload}.AAAA`)).toMatchObject({
        detail: expect.stringContaining("algorithm"),
      });
    }
  });

  test("is refused when signed by HS256 with the public key as the secret", async () => {
    const spki = `-----BEGIN PUBLIC KEY-----\n${published.n}\n-----END PUBLIC KEY-----\n`;
    for (const secret of [spki, published.n, JSON.stringify(published)]) {
      const token = await new SignJWT({ sub: good.userId, sid: good.sessionId, role: "admin" })
        .setProtectedHeader({ alg: "HS256", typ: "at+jwt", kid: published.kid })
        .setExpirationTime("10m")
        .sign(new TextEncoder().encode(secret));
      expect(await refusal(token)).toMatchObject({
        code: "invalid_token",
        detail: expect.stringContaining("algorithm"),
      });
    }
  });

  test("is refused when signed by a key that is not ours, even if the header carries it", async () => {
    const pair = (await crypto.subtle.generateKey(
      { name: "RSASSA-PKCS1-v1_5", modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]), hash: "SHA-256" },
      true,
      ["sign", "verify"],
    )) as CryptoKeyPair;
    const jwk = await exportJWK(pair.publicKey);
    const now = Math.floor(Date.now() / 1000);
    const forge = (header: Record<string, unknown>) =>
      new SignJWT({
        ...JSON.parse(new TextDecoder().decode(base64url.decode(good.access.split(".")[1] ?? ""))),
        exp: now + 60,
      })
        .setProtectedHeader({ alg: "RS256", typ: "at+jwt", ...header })
        .sign(pair.privateKey);
    expect(await refusal(await forge({ kid: published.kid, jwk }))).toMatchObject({
      detail: expect.stringContaining("signature"),
    });
    expect(await refusal(await forge({ kid: "another", jku: "https://evil.example/jwks.json" }))).toMatchObject({
      detail: expect.stringContaining("unknown signing key"),
    });
    expect(await refusal(await forge({ kid: "../../dev/null" }))).toMatchObject({ code: "invalid_token" });
    expect(await refusal(await forge({ kid: ["a"] }))).toMatchObject({ code: "invalid_token" });
  });

  test.each<[string, Forgery, string]>([
    ["another type", { header: { typ: "JWT" } }, "token type"],
    ["no type", { header: { typ: undefined } }, "token type"],
    ["another issuer", { claims: { iss: "https://evil.example" } }, "issuer"],
    ["another audience", { claims: { aud: "someone-else" } }, "audience"],
    ["no issuer", { without: "iss" }, "issuer"],
    ["no audience", { without: "aud" }, "audience"],
    ["no exp", { without: "exp" }, "claims"],
    ["no iat", { without: "iat" }, "claims"],
    ["no sub", { without: "sub" }, "claims"],
    ["no sid", { without: "sid" }, "claims"],
    ["no jti", { without: "jti" }, "claims"],
    ["another client", { claims: { client_id: "other" } }, "claims"],
    ["a sub that is no user id", { claims: { sub: "admin" } }, "claims"],
    ["a sid that is no session id", { claims: { sid: "x" } }, "claims"],
    ["a role that is no string", { claims: { role: ["admin"] } }, "claims"],
    ["a longer life than configured", { claims: { exp: Math.floor(Date.now() / 1000) + 86_400 } }, "claims"],
    ["an iat in the future", { claims: { iat: 4_000_000_000, exp: 4_000_000_900 } }, "claims"],
    ["an exp that is no whole number", { claims: { exp: Date.now() / 1000 + 60.5 } }, "claims"],
    ["an exp of text", { claims: { exp: "tomorrow" } }, "claims"],
  ])("is refused with %s, even under our own signature", async (_, forgery, detail) => {
    expect(await refusal(await signed(forgery))).toMatchObject({
      status: 401,
      code: "invalid_token",
      detail: expect.stringContaining(detail),
    });
  });

  test("with a crit header is refused", async () => {
    const [, payload] = good.access.split(".");
    const header = encode({ alg: "RS256", typ: "at+jwt", kid: published.kid, crit: ["x"], x: 1 });
    expect(await refusal(`${header}.${payload}.AAAA`)).toMatchObject({ code: "invalid_token" });
  });

  test("whose header or payload is no JSON object is refused", async () => {
    const [header, , signature] = good.access.split(".");
    expect(await refusal(`${encode([1])}.${encode({})}.${signature}`)).toMatchObject({ code: "invalid_token" });
    expect(await refusal(`${base64url.encode("{")}.${encode({})}.${signature}`)).toMatchObject({
      code: "invalid_token",
    });
    expect(await refusal(`${header}.${encode("text")}.${signature}`)).toMatchObject({ code: "invalid_token" });
  });

  test("expires after 15 minutes, with 5 seconds of patience for clocks that differ", async () => {
    const { tokens } = await loggedIn(edge);
    const start = Date.now();
    vi.useFakeTimers({ toFake: ["Date"], now: start + 903_000 });
    expect((await edge.users(tokens.access_token)).status).toBe(200);
    vi.setSystemTime(start + 906_000);
    const expired = await edge.users(tokens.access_token);
    expect(expired.status).toBe(401);
    expect(expired.headers.get("WWW-Authenticate")).toBe(
      'Bearer realm="postern", error="invalid_token", error_description="token expired"',
    );
    expect((await problemOf(expired)).code).toBe("token_expired");
    vi.useRealTimers();
  });

  test("that was verified before still expires, and dies with its key", async () => {
    const { tokens } = await loggedIn(edge);
    const start = Date.now();
    for (let i = 0; i < 3; i++) expect((await edge.users(tokens.access_token)).status).toBe(200);
    vi.useFakeTimers({ toFake: ["Date"], now: start + 906_000 });
    expect(await refusal(tokens.access_token)).toMatchObject({ code: "token_expired" });
    vi.useRealTimers();

    const withdrawing = new Edge();
    const young = await loggedIn(withdrawing);
    expect((await withdrawing.users(young.tokens.access_token)).status).toBe(200);
    await env.DB.prepare("UPDATE signing_keys SET withdrawn_at = ?").bind(Date.now()).run();
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 301_000 });
    const response = await withdrawing.users(young.tokens.access_token);
    vi.useRealTimers();
    await env.DB.prepare("UPDATE signing_keys SET withdrawn_at = NULL").run();
    expect((await problemOf(response)).detail).toContain("unknown signing key");
  });

  test("is taken from the Authorization header only, and only once", async () => {
    const query = await edge.fetch(`/api/users?access_token=${good.access}`);
    expect((await problemOf(query)).code).toBe("missing_token");
    const twice = await edge.fetch("/api/users", {
      headers: { Authorization: `Bearer ${good.access}, Bearer ${good.access}` },
    });
    expect(twice.status).toBe(400);
    expect((await problemOf(twice)).code).toBe("invalid_request");
    const basic = await edge.fetch("/api/users", { headers: { Authorization: "Basic dGVzdDp0ZXN0" } });
    expect((await problemOf(basic)).code).toBe("missing_token");
    const lower = await edge.fetch("/api/users", { headers: { authorization: `bearer ${good.access}` } });
    expect(lower.status).toBe(200);
  });
});
