import { describe, expect, test } from "vitest";
import type { RouteRule } from "../../src/kit/config.ts";
import { normalisePath } from "../../src/origin/path.ts";
import { compileRoutes, routePathFault } from "../../src/origin/route-policy.ts";

function rule(path: string, more: Partial<RouteRule> = {}): RouteRule {
  return { path, methods: null, roles: null, public: false, ...more };
}

const policy = compileRoutes([
  rule("/api/admin/*", { roles: ["admin"] }),
  rule("/api/public/*", { public: true }),
  rule("/api/reports", { methods: ["GET"], roles: ["auditor", "admin"] }),
  rule("/api/users:purge", { roles: ["admin"] }),
  rule("/api/*"),
  rule("/", { methods: ["GET"], public: true }),
]);

/** The decision in a word. */
function decide(path: string, method = "GET"): string {
  const normal = normalisePath(path);
  if (!normal.ok) return normal.failure.code;
  const match = policy.match(method, normal.value);
  if (!match.ok) return match.failure.code;
  return match.value.public ? "public" : (match.value.roles?.join("|") ?? "user");
}

describe("the first rule that fits decides", () => {
  test.each([
    ["/api/users", "user"],
    ["/api/admin/users", "admin"],
    ["/api/public/news", "public"],
    ["/api/reports", "auditor|admin"],
    ["/", "public"],
  ])("%s asks for: %s", (path, decision) => {
    expect(decide(path)).toBe(decision);
  });

  test("a rule for a directory holds for the directory itself", () => {
    expect(decide("/api/admin")).toBe("admin");
    expect(decide("/api/admin/")).toBe("admin");
    expect(decide("/api")).toBe("user");
  });

  test("a prefix ends at a slash", () => {
    expect(decide("/api/administrators")).toBe("user");
    expect(decide("/apis")).toBe("not_found");
  });

  test("a method outside a rule falls through to the next", () => {
    expect(decide("/api/reports", "POST")).toBe("user");
  });

  test("a pattern without a star matches only itself", () => {
    expect(decide("/api/reports/2026")).toBe("user");
  });

  test("a star alone matches everything", () => {
    const all = compileRoutes([rule("/*", { public: true })]);
    expect(all.match("GET", "/")).toMatchObject({ ok: true });
    expect(all.match("GET", "/x/y")).toMatchObject({ ok: true });
  });
});

describe("deny by default", () => {
  test("what matches nothing is not found", () => {
    expect(decide("/other")).toBe("not_found");
    expect(compileRoutes([]).match("GET", "/")).toEqual({ ok: false, failure: { code: "not_found" } });
  });

  test("a known path with another method is told which are allowed", () => {
    expect(policy.match("POST", "/")).toEqual({
      ok: false,
      failure: { code: "method_not_allowed", allow: ["GET", "HEAD"] },
    });
  });

  test("HEAD is allowed where GET is", () => {
    expect(decide("/", "HEAD")).toBe("public");
  });

  test.each(["TRACE", "CONNECT"])("%s is never forwarded", (method) => {
    expect(decide("/api/users", method)).toBe("not_found");
    expect(decide("/", method)).toBe("method_not_allowed");
  });

  test("paths are case-sensitive", () => {
    expect(decide("/API/users")).toBe("not_found");
  });
});

describe("no spelling dodges a stricter rule", () => {
  test.each([
    ["dot segments", "/api/public/../admin/users", "admin"],
    ["escaped dot segments", "/api/public/%2e%2e/admin/users", "admin"],
    ["double slashes", "//api//admin//users", "admin"],
    ["needless escapes", "/api/%61dmin/users", "admin"],
    ["an origin that ignores case", "/api/Admin/users", "invalid_request"],
    ["an origin that ignores case, in the directory itself", "/api/ADMIN", "invalid_request"],
    ["an origin that drops trailing dots", "/api/admin./users", "invalid_request"],
    ["an origin that drops trailing spaces", "/api/admin%20/users", "invalid_request"],
    ["an origin that folds full-width letters", "/api/ａdmin/users", "invalid_request"],
    ["an origin that decodes before it routes", "/api/users%3Apurge", "invalid_request"],
    ["an origin that cuts at a decoded question mark", "/api/admin%3Fx", "invalid_request"],
    ["an origin that cuts at a full-width semicolon", "/api/admin；x/users", "invalid_request"],
    ["an origin that ignores a trailing slash", "/api/reports/", "invalid_request"],
  ])("%s: %s", (_name, path, decision) => {
    expect(decide(path)).toBe(decision);
  });

  test("a lax spelling of a route that asks for nothing more is let through", () => {
    expect(decide("/api/Companies/Acme%20Inc.")).toBe("user");
    expect(decide("/api/PUBLIC/news")).toBe("user");
    expect(decide("/api/users/")).toBe("user");
  });

  test("a protected path inside a public tree cannot be had in other letters", () => {
    const tree = compileRoutes([rule("/pub/secret"), rule("/pub/*", { public: true })]);
    expect(tree.match("GET", "/pub/SECRET")).toMatchObject({ failure: { code: "invalid_request" } });
    expect(tree.match("GET", "/pub/Open")).toMatchObject({ value: { public: true } });
  });
});

describe("matching takes time in proportion to the path", () => {
  test.each([
    "/api/X" + ".".repeat(60_000) + "x",
    "/api/X" + "%20.".repeat(20_000) + "x",
    "/api/X" + ";".repeat(60_000),
  ])("%.20s…", (path) => {
    const start = performance.now();
    decide(path);
    expect(performance.now() - start).toBeLessThan(200);
  });
});

describe("faults of a rule's path", () => {
  test.each([
    ["/api/*", null],
    ["/", null],
    ["/*", null],
    ["/api/caf%C3%A9/*", null],
    ["/api/../x", "must be written as requests are matched: /x"],
    ["/api//x/*", "must be written as requests are matched: /api/x/"],
    ["/caf\u00E9", "must be written as requests are matched: /caf%C3%A9"],
    ["/api/%61", "must be written as requests are matched: /api/a"],
    ["/a;b/*", "holds characters that no forwarded path can hold"],
    ["/a%2", "holds characters that no forwarded path can hold"],
  ])("%s: %s", (path, fault) => {
    expect(routePathFault(path)).toBe(fault);
  });
});
