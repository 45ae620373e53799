import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, test, vi } from "vitest";
import { Edge, loggedIn, problemOf } from "./support.ts";

const edge = new Edge();

interface Echo {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

let bearer: string;
let userId: string;
let sessionId: string;

beforeAll(async () => {
  const { id, tokens } = await loggedIn(edge);
  bearer = tokens.access_token;
  userId = id;
  sessionId = tokens.session_id;
});

const echo = async (path: string, options: Parameters<Edge["fetch"]>[1] = {}): Promise<Echo> => {
  const response = await edge.fetch(path, { bearer, ...options });
  expect(response.status).toBe(200);
  return response.json<Echo>();
};

/** An edge whose origin is `answer`. */
const before = (answer: (request: Request) => Response | Promise<Response>, overrides = {}) =>
  new Edge({ ORIGIN: { fetch: async (request: Request) => answer(request) }, ...overrides });

describe("the gateway", () => {
  test("tells the origin who asks, and signs it", async () => {
    const { headers } = await echo("/api/echo?a=1", { headers: { "X-Request-Id": "request-1" } });
    expect(headers).toMatchObject({
      "x-user-id": userId,
      "x-user-role": "user",
      "x-session-id": sessionId,
      "x-auth-method": "jwt",
      "x-request-id": "request-1",
      "x-forwarded-proto": "http",
      "x-forwarded-host": "127.0.0.1:8787",
      via: "1.1 postern",
    });
    expect(headers).not.toHaveProperty("authorization");
    expect(headers["signature-input"]).toMatch(
      /^postern=\("@method" "@path" "@query" "x-user-id" "x-user-role" "x-session-id" "x-auth-method" "x-request-id"\);created=\d+;expires=\d+;keyid="postern-1";alg="hmac-sha256"$/,
    );
    expect(headers["signature"]).toMatch(/^postern=:[A-Za-z0-9+/]{43}=:$/);
  });

  test("lets no spelling of an identity header through", async () => {
    const forged = {
      "X-User-Id": "root",
      x_user_id: "root",
      "X-USER-ROLE": "admin",
      X_User_Role: "admin",
      "X-User-Anything": "x",
      "X-Session-Id": "x",
      "X-Auth-Method": "root",
      "X-Forwarded-For": "10.0.0.1",
      X_Forwarded_Host: "evil.example",
      Forwarded: "for=10.0.0.1",
      "X-Real-IP": "10.0.0.1",
      Signature: "postern=:AAAA:",
      "Signature-Input": 'postern=("@method")',
    };
    const { headers } = await echo("/api/echo", { headers: forged });
    const values = JSON.stringify(headers);
    for (const forgery of ["root", "admin", "evil.example", "10.0.0.1", "AAAA"]) expect(values).not.toContain(forgery);
    expect(headers["x-user-id"]).toBe(userId);
    expect(Object.keys(headers).filter((name) => name.includes("_"))).toEqual([]);
  });

  test("takes its own cookies out and leaves the others", async () => {
    const { headers } = await echo("/api/echo", {
      headers: { Cookie: "theme=dark; __Host-refresh_token=prt1_x; session_id=abc; b=2" },
    });
    expect(headers["cookie"]).toBe("theme=dark; b=2");
  });

  test("passes Authorization on only when configured to", async () => {
    const { headers } = await (
      await new Edge({ FORWARD_AUTHORIZATION: "true" }).fetch("/api/echo", { bearer })
    ).json<Echo>();
    expect(headers["authorization"]).toBe(`Bearer ${bearer}`);
  });

  test("passes method, path, query and body as they came", async () => {
    const sent = await echo("/api/echo?q=a%20b&q=%2F&empty=", {
      method: "PUT",
      body: "grüße",
      headers: { "Content-Type": "text/x" },
    });
    expect(sent).toMatchObject({ method: "PUT", body: "grüße" });
    expect(new URL(sent.url).search).toBe("?q=a%20b&q=%2F&empty=");
    expect(sent.headers["content-type"]).toBe("text/x");
  });

  test("refuses what no route names, and asks for a credential where one is needed", async () => {
    expect((await edge.fetch("/other", { bearer })).status).toBe(404);
    const without = await edge.fetch("/api/users");
    expect(without.status).toBe(401);
    expect(without.headers.get("WWW-Authenticate")).toBe('Bearer realm="postern"');
    expect((await problemOf(without)).code).toBe("missing_token");
  });

  test("forwards what it matched, or refuses: dot segments and escapes reach no other route", async () => {
    const routes = new Edge({
      ROUTES: '[{"path":"/api/admin/*","roles":["admin"]},{"path":"/api/public/*","public":true},{"path":"/api/*"}]',
    });
    const raw = (path: string) => routes.fetch(path, { bearer });
    expect((await raw("/api/admin/users")).status).toBe(403);
    for (const path of [
      "/api/public/..%2fadmin/users",
      "/api/public/..;/admin/users",
      "/api/%61dmin%2fusers",
      "/api\\admin\\x%5c",
    ]) {
      expect([400, 403, 404]).toContain((await raw(path)).status);
    }
  });

  test("asks for the role the user has now", async () => {
    const ROUTES = '[{"path":"/api/admin/*","roles":["admin","ops"]},{"path":"/api/*"}]';
    const routed = new Edge({ ROUTES });
    const refused = await routed.fetch("/api/admin/x", { bearer });
    expect(refused.status).toBe(403);
    expect(refused.headers.get("WWW-Authenticate")).toBe(
      'Bearer realm="postern", error="insufficient_scope", scope="admin ops"',
    );
    expect((await problemOf(refused)).code).toBe("insufficient_role");
    const admin = await loggedIn(edge, "admin");
    expect((await routed.fetch("/api/admin/x", { bearer: admin.tokens.access_token })).status).toBe(404);
  });

  test("serves public routes without identity, signed all the same", async () => {
    const open = new Edge({ ROUTES: '[{"path":"/api/echo","public":true}]' });
    const { headers } = await (await open.fetch("/api/echo", { headers: { "X-User-Id": "root" } })).json<Echo>();
    expect(headers).not.toHaveProperty("x-user-id");
    expect(headers["signature-input"]).toMatch(/^postern=\("@method" "@path" "@query" "x-request-id"\);/);
  });

  test("passes the origin's own errors, redirects and cookies untouched", async () => {
    const answer = before(() => {
      const headers = new Headers({ Location: "https://elsewhere.example/", "X-Origin": "yes" });
      headers.append("Set-Cookie", "a=1; Path=/");
      headers.append("Set-Cookie", "b=2; HttpOnly");
      return new Response("own words", { status: 302, headers });
    });
    const response = await answer.fetch("/api/x", { bearer });
    expect(response.status).toBe(302);
    expect(response.headers.get("Location")).toBe("https://elsewhere.example/");
    expect(response.headers.getSetCookie()).toEqual(["a=1; Path=/", "b=2; HttpOnly"]);
    expect(await response.text()).toBe("own words");
    expect(response.headers.get("X-Request-Id")).not.toBeNull();
    const failing = await before(() => Response.json({ own: "error" }, { status: 500 })).fetch("/api/x", { bearer });
    expect(failing.status).toBe(500);
    expect(await failing.json()).toEqual({ own: "error" });
  });

  test.each([204, 205, 304])("passes a %i without a body", async (status) => {
    const response = await before(() => new Response(null, { status, headers: { ETag: '"x"' } })).fetch("/api/x", {
      bearer,
    });
    expect(response.status).toBe(status);
    expect(response.headers.get("ETag")).toBe('"x"');
  });

  test("streams both ways: an event arrives before the next is sent", async () => {
    const response = await edge.fetch("/api/stream?n=3&ms=50", { bearer });
    expect(response.headers.get("Content-Type")).toContain("text/event-stream");
    const chunks: string[] = [];
    for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) chunks.push(chunk);
    expect(chunks.length).toBeGreaterThanOrEqual(3);

    const size = 8 * 1024 * 1024;
    const down = await edge.fetch(`/api/bytes?n=${size}`, { bearer });
    let received = 0;
    for await (const chunk of down.body ?? []) received += chunk.byteLength;
    expect(received).toBe(size);
    const up = await edge.fetch("/api/upload", { bearer, method: "POST", body: new Uint8Array(size) });
    expect(await up.json()).toMatchObject({ bytes: size });
  });

  test("carries a WebSocket both ways, closing included", async () => {
    const response = await edge.fetch("/api/ws", { bearer, headers: { Upgrade: "websocket" } });
    expect(response.status).toBe(101);
    const socket = response.webSocket;
    if (socket === null) throw new Error("no WebSocket");
    socket.accept();
    const heard: unknown[] = [];
    const closed = new Promise<CloseEvent>((resolve) => {
      socket.addEventListener("message", ({ data }) => {
        heard.push(data);
        if (heard.length === 2) socket.close(4001, "enough");
      });
      socket.addEventListener("close", resolve);
    });
    socket.send("one");
    socket.send("two");
    expect(await closed).toMatchObject({ code: 4001 });
    expect(heard).toEqual(["one", "two"]);
  });

  test("says 502 when the origin cannot be reached, and nothing of where it is", async () => {
    const logged = vi.spyOn(console, "error").mockImplementation(() => undefined);
    const down = before(() => {
      throw new Error("connect ECONNREFUSED 10.1.2.3:443");
    });
    const response = await down.fetch("/api/x", { bearer, headers: { "X-Request-Id": "down-1" } });
    const lines = logged.mock.calls.map(([line]) => String(line));
    logged.mockRestore();
    expect(response.status).toBe(502);
    const text = await response.text();
    expect(text).toContain("origin_unreachable");
    expect(text).not.toContain("10.1.2.3");
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain("down-1");
  });

  test("says 504 when the origin does not begin to answer in time, and gives a body all the time it takes", async () => {
    const slow = new Edge({ ORIGIN_TIMEOUT_SECONDS: "1" });
    const response = await slow.fetch("/api/slow?ms=3000", { bearer });
    expect(response.status).toBe(504);
    expect((await problemOf(response)).code).toBe("origin_timeout");
    const body = await slow.fetch("/api/stream?n=3&ms=600", { bearer });
    expect(body.status).toBe(200);
    expect((await body.text()).length).toBeGreaterThan(0);
  });

  test("sends to ORIGIN_URL when that is what is configured", async () => {
    const { ORIGIN, ...rest } = env;
    const fetched = vi.spyOn(globalThis, "fetch").mockImplementation(() => Promise.resolve(new Response("there")));
    const byUrl = new Edge({ ...rest, ORIGIN: undefined, ORIGIN_URL: "https://api.internal.example" });
    const response = await byUrl.fetch("/api/x?y=1", { bearer });
    const [target] = fetched.mock.calls[0] ?? [];
    fetched.mockRestore();
    expect(ORIGIN).toBeDefined();
    expect(await response.text()).toBe("there");
    expect(target instanceof Request && target.url).toBe("https://api.internal.example/api/x?y=1");
  });
});
