// The watch over the log that every test file has (secrecy.ts, setup.ts): that it sees the lines, knows the secrets, and
// does find one in the other.
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, test, vi } from "vitest";
import { log } from "../src/kit/log.ts";
import { createUser, Edge, loggedIn, PASSWORD } from "./support.ts";
import { forgetLine, leaks, leaksIn, noted, noteResponse } from "./secrecy.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

/** Logs a line that gives `secret` away, and returns what is found of it. */
function givenAway(secret: string): string[] {
  const entry = { event: "request.bug", requestId: "a", error: `Error: ${secret}` } as const;
  vi.spyOn(console, "error").mockImplementation(() => undefined);
  log(entry);
  const found = leaks();
  forgetLine(JSON.stringify(entry));
  return found;
}

describe("the watch over the log", () => {
  test("sees every line, the console silenced or not", async () => {
    vi.spyOn(console, "log").mockImplementation(() => undefined);
    const before = noted().lines.length;
    await new Edge().fetch("/healthz");
    expect(noted().lines.slice(before)).toEqual([expect.stringContaining('"route":"/healthz"')]);
    expect(leaks()).toEqual([]);
  });

  test("finds every secret that went through an edge: passwords, tokens, cookies, addresses, the Worker's own", async () => {
    const edge = new Edge({ SESSION_AUTH: "on", JWT_ROLLOUT_PERCENT: "100" });
    const { tokens, username } = await loggedIn(edge);
    const address = "2001:db8:aaaa:bbbb::77";
    await edge.login(username, "a wrong password of mine", { address });
    const cookies = [
      await edge.fetch("/auth/login", { json: { username, password: PASSWORD, delivery: "cookie" } }),
      await edge.fetch("/api/login", { json: { username, password: PASSWORD } }),
    ].flatMap((response) => response.headers.getSetCookie().map((line) => line.split(/[=;]/)[1] ?? ""));
    expect(cookies).toHaveLength(2);
    const given = [
      PASSWORD,
      "a wrong password of mine",
      tokens.access_token,
      tokens.refresh_token,
      ...cookies,
      address,
      env.AUTH_SECRET,
      env.ORIGIN_SECRET,
    ];
    for (const secret of given) expect(givenAway(secret)).not.toEqual([]);
    expect(leaks()).toEqual([]);
  });

  test("finds what nobody has told it: any JWT, refresh token, password hash or private key", async () => {
    const user = await createUser();
    const row = await env.DB.prepare("SELECT password_hash FROM users WHERE id = ?")
      .bind(user.id)
      .first<{ password_hash: string }>();
    const jwk = JSON.stringify({ kty: "RSA", n: "AQAB", d: "AQAB" });
    const unknown = ["eyJhbGciOiJSUzI1NiJ9.e30.AA", "prt1_AAAAAAAA", row?.password_hash ?? "", jwk, "Bearer abcdefgh"];
    for (const secret of unknown) expect(leaksIn([`{"error":"${secret}"}`], [])).not.toEqual([]);
    expect(leaksIn(['{"event":"request","route":"/auth/login"}'], noted().secrets)).toEqual([]);
  });

  test("fails a request whose response shows a hash, a private key or a secret of the Worker", async () => {
    for (const text of ["$argon2id$v=19$m=19456", '{"d":"AQAB"}', env.AUTH_SECRET]) {
      await expect(noteResponse("/auth/me", new Response(text))).rejects.toThrow("/auth/me shows");
    }
    await expect(noteResponse("/auth/me", new Response("{}"))).resolves.toBeUndefined();
  });
});
