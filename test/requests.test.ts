import { env } from "cloudflare:workers";
import { describe, expect, test, vi } from "vitest";
import { Edge, loggedIn, problemOf } from "./support.ts";

const edge = new Edge();

describe("every response", () => {
  test.each(["/healthz", "/nowhere", "/auth/me", "/api/users", "/auth/login"])(
    "of %s carries the manners",
    async (path) => {
      const response = await edge.fetch(path);
      expect(response.headers.get("X-Request-Id")).toMatch(/^[0-9a-f-]{36}$/);
      expect(response.headers.get("Strict-Transport-Security")).toContain("max-age=31536000");
      expect(response.headers.get("X-Content-Type-Options")).toBe("nosniff");
      expect(response.headers.get("Referrer-Policy")).toBe("no-referrer");
    },
  );

  test("keeps a sane inbound request id and replaces any other", async () => {
    const of = async (id: string) =>
      (await edge.fetch("/healthz", { headers: { "X-Request-Id": id } })).headers.get("X-Request-Id");
    expect(await of("trace-1234.a:b_C")).toBe("trace-1234.a:b_C");
    for (const id of ["<script>", "a b", "x".repeat(129), ".start"]) expect(await of(id)).toMatch(/^[0-9a-f-]{36}$/);
  });
});

describe("an error", () => {
  test("is problem+json with the contract's members", async () => {
    const response = await edge.fetch("/nowhere", { headers: { "X-Request-Id": "abc" } });
    expect(response.status).toBe(404);
    expect(response.headers.get("Content-Type")).toBe("application/problem+json; charset=utf-8");
    expect(response.headers.get("Cache-Control")).toBe("no-store");
    expect(await problemOf(response)).toEqual({
      type: "http://127.0.0.1:8787/problems/not_found",
      title: "There is nothing here",
      status: 404,
      code: "not_found",
      request_id: "abc",
    });
  });

  test("has a page that explains it", async () => {
    const page = await edge.fetch("/problems/token_expired");
    expect(page.status).toBe(200);
    expect(await page.text()).toContain("token_expired");
    expect((await edge.fetch("/problems/toString")).status).toBe(404);
  });

  test.each([
    ["/auth/login", "GET", "POST"],
    ["/auth/login", "DELETE", "POST"],
    ["/auth/sessions", "POST", "GET, HEAD"],
    ["/.well-known/jwks.json", "POST", "GET, HEAD"],
    ["/auth/sessions/0198c0de-0000-7000-8000-000000000000", "GET", "DELETE"],
  ])("for %s by %s is 405 with the methods that are allowed", async (path, method, allow) => {
    const response = await edge.fetch(path, { method });
    expect(response.status).toBe(405);
    expect(response.headers.get("Allow")).toBe(allow);
    expect((await problemOf(response)).code).toBe("method_not_allowed");
  });

  test("for HEAD is a GET without the body", async () => {
    const response = await edge.fetch("/healthz", { method: "HEAD" });
    expect(response.status).toBe(200);
    expect(await response.text()).toBe("");
  });

  test("of ours is 500, shows nothing but the request id, and is logged under it", async () => {
    const logged = vi.spyOn(console, "error").mockImplementation(() => undefined);
    const { tokens } = await loggedIn(edge);
    const broken = new Edge({
      USER_SESSIONS: {
        getByName: () => ({ lease: () => Promise.resolve({ live: true }), list: () => Promise.resolve(null) }),
      },
    });
    const response = await broken.fetch("/auth/sessions", {
      bearer: tokens.access_token,
      headers: { "X-Request-Id": "find-me" },
    });
    const [[line] = []] = logged.mock.calls;
    logged.mockRestore();
    expect(response.status).toBe(500);
    expect(Object.keys(await problemOf(response)).toSorted()).toEqual([
      "code",
      "request_id",
      "status",
      "title",
      "type",
    ]);
    expect(JSON.parse(String(line))).toMatchObject({ event: "request.bug", requestId: "find-me" });
    expect(String(line)).not.toContain(tokens.access_token);
  });
});

describe("a JSON body", () => {
  const login = (body: BodyInit, type = "application/json") =>
    edge.fetch("/auth/login", { method: "POST", body, headers: { "Content-Type": type } });

  test.each([["text/plain"], ["application/x-www-form-urlencoded"], ["application/json; charset=latin1"], [""]])(
    "of type %j is not read",
    async (type) => {
      const response = await login("{}", type);
      expect(response.status).toBe(415);
      expect((await problemOf(response)).code).toBe("unsupported_media_type");
    },
  );

  test.each([
    ["{"],
    [""],
    ["null"],
    ["[]"],
    ['"x"'],
    ["{}"],
    ['{"username":1,"password":2}'],
    ['{"username":"","password":"x"}'],
  ])("that is %s is 400", async (body) => {
    const response = await login(body);
    expect(response.status).toBe(400);
    expect((await problemOf(response)).code).toBe("invalid_request");
  });

  test("names every field that is wrong", async () => {
    const response = await login('{"username":"a\\u0000b","delivery":"pigeon","unknown":true}');
    const { errors = [] } = await problemOf(response);
    expect(errors.map((error) => error.path).toSorted()).toEqual(["delivery", "password", "username"]);
  });

  test("that is not UTF-8, or holds a lone surrogate, is 400", async () => {
    expect((await login(new Uint8Array([0x7b, 0xff, 0x7d]))).status).toBe(400);
    expect((await login('{"username":"a","password":"\\ud800"}')).status).toBe(400);
  });

  test("over 16 KiB is 413, whatever Content-Length says", async () => {
    const big = JSON.stringify({ username: "a", password: "x".repeat(17_000) });
    expect((await login(big)).status).toBe(413);
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    const writer = writable.getWriter();
    const writing = writer.write(new TextEncoder().encode(big)).catch(() => undefined);
    const response = await login(readable);
    expect(response.status).toBe(413);
    expect((await problemOf(response)).code).toBe("payload_too_large");
    await writing;
  });

  test("may carry unknown fields and a charset", async () => {
    const response = await login('{"username":"nobody","password":"x","more":1}', "application/json; charset=UTF-8");
    expect(response.status).toBe(401);
  });
});

describe("CORS", () => {
  const app = "https://app.example";
  const configured = new Edge({ CORS_ORIGINS: `${app}, https://two.example` });

  test("answers the preflight of a configured origin", async () => {
    const response = await configured.fetch("/auth/login", {
      method: "OPTIONS",
      headers: {
        Origin: app,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
      },
    });
    expect(response.status).toBe(204);
    expect(response.headers.get("Access-Control-Allow-Origin")).toBe(app);
    expect(response.headers.get("Access-Control-Allow-Credentials")).toBe("true");
    expect(response.headers.get("Access-Control-Allow-Headers")).toBe("content-type");
    expect(response.headers.get("Access-Control-Max-Age")).toBe("7200");
    expect(response.headers.get("Vary")).toContain("Origin");
  });

  test("lets a configured origin read errors too, and nobody else anything", async () => {
    const own = await configured.fetch("/auth/me", { headers: { Origin: app } });
    expect(own.status).toBe(401);
    expect(own.headers.get("Access-Control-Allow-Origin")).toBe(app);
    for (const origin of ["https://evil.example", `${app}.evil.example`, "null", "http://app.example"]) {
      const other = await configured.fetch("/auth/me", { headers: { Origin: origin } });
      expect(other.headers.get("Access-Control-Allow-Origin")).toBeNull();
    }
    const off = await edge.fetch("/auth/me", { headers: { Origin: app } });
    expect(off.headers.get("Access-Control-Allow-Origin")).toBeNull();
  });

  test("gives the preflight of a stranger no leave", async () => {
    const response = await configured.fetch("/auth/login", {
      method: "OPTIONS",
      headers: { Origin: "https://evil.example", "Access-Control-Request-Method": "POST" },
    });
    expect(response.headers.get("Access-Control-Allow-Origin")).toBeNull();
    expect(response.status).toBe(405);
  });
});

describe("a bad configuration", () => {
  test("answers every request with 500 and logs every fault by name, no secret among them", async () => {
    const logged = vi.spyOn(console, "error").mockImplementation(() => undefined);
    const broken = new Edge({
      ISSUER: "http://not-local.example/path",
      ACCESS_TOKEN_SECONDS: "15m",
      ROUTES: '[{"path":"api"}]',
      AUTH_SECRET: "c2hvcnQ=",
      ORIGIN_URL: "http://127.0.0.1:1",
      DB: undefined,
    });
    for (const path of ["/healthz", "/auth/login", "/api/users"]) {
      const response = await broken.fetch(path);
      expect(response.status).toBe(500);
      expect(response.headers.get("X-Request-Id")).not.toBeNull();
      expect(await problemOf(response)).toMatchObject({ type: "about:blank", code: "internal_error" });
    }
    const lines = logged.mock.calls.map(([line]) => String(line));
    logged.mockRestore();
    const named = new Set(lines.map((line) => (JSON.parse(line) as { variable: string }).variable));
    expect(named).toEqual(new Set(["ISSUER", "ACCESS_TOKEN_SECONDS", "ROUTES", "AUTH_SECRET", "ORIGIN", "DB"]));
    expect(lines.join("\n")).not.toContain("c2hvcnQ=");
    expect(lines.join("\n")).not.toContain(env.ORIGIN_SECRET);
  });

  test("names a route that no request could match", async () => {
    const logged = vi.spyOn(console, "error").mockImplementation(() => undefined);
    const response = await new Edge({ ROUTES: '[{"path":"/api/../x"},{"path":"/a;b"}]' }).fetch("/healthz");
    const lines = logged.mock.calls.map(([line]) => String(line));
    logged.mockRestore();
    expect(response.status).toBe(500);
    expect(lines.filter((line) => line.includes("ROUTES"))).toHaveLength(2);
  });
});

describe("a request", () => {
  test("without an address counts as this machine's, and with a preflight of our own origins names the defaults", async () => {
    const response = await new Edge({ CORS_ORIGINS: "https://app.example" }).fetch("/auth/login", {
      method: "OPTIONS",
      headers: { Origin: "https://app.example", "Access-Control-Request-Method": "POST" },
    });
    expect(response.headers.get("Access-Control-Allow-Headers")).toContain("Idempotency-Key");
  });

  test("to readyz of a healthy Postern is answered ok", async () => {
    const response = await edge.fetch("/readyz");
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({ status: "ok" });
  });

  test("with a body where none is needed is read as one", async () => {
    const response = await edge.fetch("/auth/refresh", { method: "POST", body: "x" });
    expect(response.status).toBe(415);
    expect(
      (await edge.fetch("/auth/logout", { method: "POST", body: "{", headers: { "Content-Type": "application/json" } }))
        .status,
    ).toBe(400);
    const twice = { Authorization: "Bearer a, Bearer b" };
    expect((await edge.fetch("/auth/logout", { method: "POST", headers: twice })).status).toBe(400);
  });
});
