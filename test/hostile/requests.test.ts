// Every operation of the OpenAPI document under requests that no client of good will sends: other methods, media types,
// bodies, paths, queries and headers. Whatever comes, the answer is one the document knows, or a refusal in its form;
// nothing is a bug (500) and nothing that is not ours is let through.
import * as fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import document from "../../docs/api/openapi.json";
import { createUser, Edge, freshAddress, loggedIn, type RequestOptions, type TestUser } from "../support.ts";
import { codeOf, faultsOf, refuseUnhandledRejections, SEED } from "./invariants.ts";

refuseUnhandledRejections();

type Json = Readonly<Record<string, unknown>>;
const LIMITS = { RATE_LIMIT_LOGIN: "1000/60", RATE_LIMIT_REFRESH: "1000/60", RATE_LIMIT_AUTH: "1000/60" };
const edge = new Edge({ LOG_REQUESTS: "off", SESSION_AUTH: "on", REGISTRATION: "open", ...LIMITS });
const BODIES_PER_OPERATION = 60;
const BODY_LIMIT_BYTES = 16 * 1024;

const schemas = document.components.schemas as Readonly<Record<string, Json>>;

interface Operation {
  readonly name: string;
  readonly method: string;
  readonly path: string;
  readonly schema: Json | null;
  readonly statuses: ReadonlySet<string>;
}

const operations: Operation[] = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods as Readonly<Record<string, Json>>).map(([method, operation]) => {
    const body = operation["requestBody"] as { content: Record<string, { schema: Json }> } | undefined;
    return {
      name: `${method.toUpperCase()} ${path}`,
      method: method.toUpperCase(),
      path,
      schema: body?.content["application/json"]?.schema ?? null,
      statuses: new Set(Object.keys(operation["responses"] as Json)),
    };
  }),
);
const withBody = operations.filter(({ schema }) => schema !== null);

const NASTY = [
  "__proto__",
  "constructor",
  "toString",
  "\u0000",
  "\ud800",
  "\u202e",
  "ﬀ",
  "%00",
  "' OR 1=1 --",
  "$ne",
  "a\r\nb",
];
const nasty = fc.oneof(fc.constantFrom(...NASTY), fc.string({ unit: "binary", maxLength: 40 }), fc.string());
const anything = fc.oneof(fc.jsonValue({ depthSize: "small", stringUnit: "binary" }), nasty);

/** What a schema describes, more or less: half of it as described, half anything. */
function arbitraryOf(schema: Json): fc.Arbitrary<unknown> {
  const reference = schema["$ref"];
  if (typeof reference === "string") return arbitraryOf(schemas[reference.split("/").at(-1) ?? ""] ?? {});
  if (Array.isArray(schema["enum"]))
    return fc.oneof(fc.constantFrom<unknown>(...(schema["enum"] as unknown[])), anything);
  if (schema["type"] === "object") {
    const members = Object.entries((schema["properties"] ?? {}) as Record<string, Json>);
    const shape = Object.fromEntries(members.map(([name, member]) => [name, arbitraryOf(member)]));
    const more = fc.dictionary(nasty, anything, { maxKeys: 2 });
    const object = fc.tuple(fc.record(shape, { requiredKeys: [] }), more);
    return fc.oneof(
      object.map(([known, unknown]) => ({ ...unknown, ...known })),
      fc.record(shape),
      anything,
    );
  }
  return fc.oneof(fc.string({ maxLength: 60 }), nasty, anything);
}

let user: TestUser & { tokens: { access_token: string } };
let admin: TestUser & { tokens: { access_token: string } };
let target: TestUser;
let address = freshAddress();
let asked = 0;

beforeAll(async () => {
  user = await loggedIn(edge);
  admin = await loggedIn(edge, "admin");
  target = await createUser();
});

function client(): string {
  asked += 1;
  if (asked % 800 === 0) address = freshAddress();
  return address;
}

/** A path with something in its parameters: the target user, unless said otherwise. */
const filled = (path: string, parameter = target.id): string => path.replaceAll(/\{\w+\}/g, parameter);

/** What is wrong with the answer, if it is not one of `statuses`. */
async function faults(path: string, options: RequestOptions, statuses?: ReadonlySet<string>): Promise<string[]> {
  const response = await edge.fetch(path, { address: client(), ...options });
  const { status } = response;
  const found = await faultsOf(response);
  if (status >= 500) found.push(`status ${status}`);
  if (statuses !== undefined && !statuses.has(String(status))) found.push(`status ${status} is not documented`);
  return found;
}

const bearers = (): readonly (string | undefined)[] => [undefined, user.tokens.access_token, admin.tokens.access_token];
const asSomebody = (bearer: string | undefined): RequestOptions => (bearer === undefined ? {} : { bearer });

describe("bodies", () => {
  // Each rotation generates an RSA key: not hundreds of times.
  test.each(withBody.filter(({ path }) => path !== "/admin/keys/rotate"))(
    "$name with anything near its schema",
    async ({ method, path, schema, statuses }) => {
      const arbitrary = arbitraryOf(schema ?? {});
      await fc.assert(
        fc.asyncProperty(arbitrary, fc.nat(2), async (body, who) => {
          const text = JSON.stringify(body) ?? "null";
          // One's own password, if it were guessed, or one's own logout would end the test's own sessions.
          const isOwn = path === "/auth/logout/all" || path === "/auth/password";
          const bearer = isOwn ? undefined : bearers()[who];
          const options = {
            ...asSomebody(bearer),
            method,
            body: text,
            headers: { "Content-Type": "application/json" },
          };
          if (path === "/auth/logout") delete (options as { bearer?: string }).bearer;
          expect(await faults(filled(path), options, statuses)).toEqual([]);
        }),
        { seed: SEED, numRuns: BODIES_PER_OPERATION },
      );
    },
  );

  const MALFORMED: readonly (readonly [string, string | Uint8Array])[] = [
    ["nothing", ""],
    ["half an object", '{"username":"a'],
    ["an array", "[]"],
    ["null", "null"],
    ["a number", "1e999"],
    ["a byte order mark", "\ufeff{}"],
    ["bytes that are no UTF-8", new Uint8Array([0x7b, 0x22, 0xc0, 0xaf, 0x22, 0x3a, 0x31, 0x7d])],
    ["UTF-16", new Uint8Array([0xff, 0xfe, 0x7b, 0, 0x7d, 0])],
    ["a NUL in front", "\u0000{}"],
    ["seven thousand arrays", `${"[".repeat(7_000)}${"]".repeat(7_000)}`],
    ["two thousand objects", `${'{"a":'.repeat(2_000)}1${"}".repeat(2_000)}`],
    ["single quotes", "{'username':'a'}"],
    ["a prototype", '{"__proto__":{"username":"a","password":"b","refresh_token":"c","role":"admin"}}'],
    ["a constructor", '{"constructor":{"prototype":{"username":"a"}}}'],
    ["a form", "username=a&password=b"],
    ["NaN", '{"username":NaN}'],
  ];
  test.each(MALFORMED)("that are %s", async (_, body) => {
    for (const { path, method, statuses } of withBody) {
      const options = { method, body, headers: { "Content-Type": "application/json" } };
      expect(await faults(filled(path), { ...options, bearer: admin.tokens.access_token }, statuses)).toEqual([]);
      expect(await faults(filled(path), options, statuses)).toEqual([]);
    }
  });

  test("with a member twice count by the last one, and a prototype is no member", async () => {
    const json = { "Content-Type": "application/json" };
    const twice = `{"username":1,"username":"${target.username}","password":"wrong password","password":2}`;
    const response = await edge.fetch("/auth/login", { method: "POST", body: twice, headers: json });
    expect(await codeOf(response)).toBe("invalid_request");
    const promoted = `{"__proto__":{"role":"admin"},"username":"${target.username}-2","password":"correct horse battery staple"}`;
    const created = await edge.fetch("/admin/users", {
      method: "POST",
      body: promoted,
      headers: json,
      bearer: admin.tokens.access_token,
    });
    expect(await created.json()).toMatchObject({ role: "user" });
  });

  test("of 16 KiB to the byte are read, and one byte more is 413", async () => {
    for (const [length, code] of [
      [BODY_LIMIT_BYTES - 1, "invalid_credentials"],
      [BODY_LIMIT_BYTES, "invalid_credentials"],
      [BODY_LIMIT_BYTES + 1, "payload_too_large"],
    ] as const) {
      const start = `{"username":"nobody-${length}","password":"wrong password","more":"`;
      const body = `${start}${"x".repeat(length - start.length - 2)}"}`;
      expect(body.length).toBe(length);
      const options = { method: "POST", body, headers: { "Content-Type": "application/json" } };
      expect(await codeOf(await edge.fetch("/auth/login", options))).toBe(code);
    }
  });

  test("in another media type or charset are 415", async () => {
    const types = [
      "text/json",
      "application/jsonx",
      "application/json;charset=utf-16",
      "application/json; charset=latin1",
      "application/json, text/plain",
      "multipart/form-data; boundary=x",
      "application/merge-patch+json",
      "application/json; q=1",
      "x".repeat(5_000),
    ];
    for (const type of types) {
      const response = await edge.fetch("/auth/login", {
        method: "POST",
        body: "{}",
        headers: { "Content-Type": type },
      });
      expect(await codeOf(response)).toBe("unsupported_media_type");
    }
  });

  test("that break off are the client's fault, not ours", async () => {
    for (const { path, method } of withBody) {
      const broken = new ReadableStream<Uint8Array>({
        start(controller) {
          controller.enqueue(new TextEncoder().encode('{"username":'));
          controller.error(new Error("Network connection lost."));
        },
      });
      const response = await edge.fetch(filled(path), {
        method,
        body: broken,
        headers: { "Content-Type": "application/json" },
        bearer: admin.tokens.access_token,
        address: client(),
      });
      // An exchange looks at its cookie first.
      const code = path === "/auth/exchange" ? "invalid_session" : "invalid_request";
      expect(await codeOf(response)).toBe(code);
    }
  });
});

describe("methods", () => {
  test.each(operations)("other than those of $path are 405 with Allow", async ({ path }) => {
    const own = operations.filter((other) => other.path === path).map(({ method }) => method);
    const allowed = new Set(own.includes("GET") ? [...own, "HEAD"] : own);
    for (const method of ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "LOCK", "SEARCH"]) {
      if (allowed.has(method)) continue;
      const response = await edge.fetch(filled(path), { method, address: client() });
      expect(response.status).toBe(405);
      expect(new Set(response.headers.get("Allow")?.split(", "))).toEqual(allowed);
      expect(await faultsOf(response)).toEqual([]);
    }
  });
});

describe("paths and queries", () => {
  const segment = fc.oneof(
    fc.constantFrom(
      "..",
      ".",
      "",
      "%2e%2e",
      "%2f",
      "%5c",
      "\\",
      "%00",
      "%c0%af",
      "%252e",
      "%ff",
      ";",
      "..;",
      "*",
      "~",
      "%u002e",
    ),
    fc.constantFrom("auth", "admin", "api", "users", "sessions", "me", "problems", ".well-known", "jwks.json", "keys"),
    fc.string({ maxLength: 12 }).map(encodeURIComponent.bind(null)),
  );

  test("nobody without a credential gets beyond what is public, whatever the path", async () => {
    const path = fc.array(segment, { minLength: 1, maxLength: 6 }).map((segments) => `/${segments.join("/")}`);
    await fc.assert(
      fc.asyncProperty(path, async (target) => {
        const response = await edge.fetch(target, { address: client() });
        const isPublic = ["/", "/healthz", "/.well-known/jwks.json", "/docs/migration"].includes(
          new URL(`http://x${target}`).pathname.replaceAll(/\/{2,}/g, "/"),
        );
        expect(response.status < 400 && !isPublic).toBe(false);
        expect(response.status < 400 ? [] : await faultsOf(response)).toEqual([]);
      }),
      { seed: SEED, numRuns: 4_000 },
    );
  });

  test("a caller who is no admin reaches nothing of /admin, whatever the path", async () => {
    const path = fc.array(segment, { maxLength: 4 }).map((segments) => `/admin/${segments.join("/")}`);
    await fc.assert(
      fc.asyncProperty(path, async (target) => {
        const response = await edge.fetch(target, { bearer: user.tokens.access_token, address: client() });
        const isInside = new URL(`http://x${target}`).pathname.startsWith("/admin/");
        expect(isInside && response.status < 400).toBe(false);
      }),
      { seed: SEED, numRuns: 1_000 },
    );
  });

  test("any value of a parameter in a query is an answer or a refusal", async () => {
    const names = [
      "query",
      "role",
      "status",
      "cursor",
      "limit",
      "user",
      "event",
      "since",
      "days",
      "format",
      "access_token",
    ];
    const parameter = fc.tuple(
      fc.constantFrom(...names),
      fc.oneof(nasty, fc.integer().map(String), fc.constantFrom("1e999", "-0", "0x10", "%", "%zz", "%ff")),
    );
    const lists = operations.filter(({ method, path }) => method === "GET" && path.startsWith("/admin/"));
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...lists),
        fc.array(parameter, { maxLength: 5 }),
        async ({ path, statuses }, query) => {
          const text = query
            .map(
              ([name, value]) => `${name}=${value.startsWith("%") ? value : encodeURIComponent(value.toWellFormed())}`,
            )
            .join("&");
          const options = { bearer: admin.tokens.access_token };
          expect(await faults(`${filled(path)}?${text}`, options, statuses)).toEqual([]);
        },
      ),
      { seed: SEED, numRuns: 1_500 },
    );
  });

  test("any id in a path is found or not found", async () => {
    const ids = fc.oneof(nasty, fc.uuid(), fc.constantFrom("%", "%zz", "%ff", "%2f", "..%2f", "*", ":id", "{id}"));
    const named = operations.filter(({ path, method }) => path.includes("{") && method !== "PATCH");
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...named), ids, async ({ path, method }, id) => {
        const encoded = id.startsWith("%") || id.startsWith("..") ? id : encodeURIComponent(id.toWellFormed());
        if (encoded === "" || /^\.{1,2}$/.test(encoded)) return;
        const found = await faults(filled(path, encoded), { method, bearer: admin.tokens.access_token });
        expect(found).toEqual([]);
      }),
      { seed: SEED, numRuns: 1_000 },
    );
  });
});

describe("headers", () => {
  const NAMES = [
    "X-User-Id",
    "x_user_role",
    "X-Session-Id",
    "X-Auth-Method",
    "X-Forwarded-For",
    "Forwarded",
    "X-Real-IP",
    "Signature",
    "Signature-Input",
    "X-Request-Id",
    "Origin",
    "Sec-Fetch-Site",
    "Cookie",
    "Authorization",
    "Idempotency-Key",
    "Accept",
    "If-None-Match",
    "User-Agent",
    "Content-Length",
    "Content-Encoding",
    "Transfer-Encoding",
    "Connection",
    "Upgrade",
    "Range",
    "Expect",
    "Via",
    "TE",
    "X-HTTP-Method-Override",
    "Access-Control-Request-Method",
    "Access-Control-Request-Headers",
  ];
  const value = fc.oneof(
    fc.string({ unit: fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code)), maxLength: 60 }),
    fc.constantFrom(
      "admin",
      "null",
      "*",
      "same-origin",
      "websocket",
      "chunked",
      "gzip",
      "x-user-id",
      "http://127.0.0.1:8787",
    ),
    fc.constantFrom(
      "x".repeat(20_000),
      '"',
      "\\",
      ",,,",
      ";;;",
      "Bearer",
      "Bearer ",
      "Basic Og==",
      "{{7*7}}",
      "%0d%0aX: y",
    ),
  );

  test("of any value, on any operation, without a credential", async () => {
    const headers = fc.dictionary(fc.constantFrom(...NAMES), value, { maxKeys: 6 });
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...operations), headers, async ({ path, method, statuses }, fields) => {
        const found = await faults(filled(path), { method, headers: fields });
        expect(found).toEqual([]);
        expect(statuses.size).toBeGreaterThan(0);
      }),
      { seed: SEED, numRuns: 3_000 },
    );
  });

  test("by the thousand are answered like none", async () => {
    const many = Object.fromEntries(Array.from({ length: 3_000 }, (_, at) => [`X-Filler-${at}`, "x"]));
    expect(await faults("/healthz", { headers: many })).toEqual([]);
    const response = await edge.fetch("/api/users", { headers: many, bearer: user.tokens.access_token });
    expect(response.status).toBe(200);
    await response.text();
  });

  test("that claim an identity reach the origin in no spelling", async () => {
    const marked = "forged-by-the-client";
    const separators = ["-", "_", ".", "~", "!", "'", "*", "+", "^", "`", "|", "#", "$", "%", "&"];
    const names = ["user-id", "user-role", "session-id", "auth-method", "forwarded-for", "user-anything"].flatMap(
      (name) => separators.map((separator) => `x-${name}`.replaceAll("-", separator)),
    );
    const headers = Object.fromEntries(
      [...names, ...names.map((name) => name.toUpperCase())].map((name) => [name, marked]),
    );
    const response = await edge.fetch("/api/echo", { headers, bearer: user.tokens.access_token });
    expect(response.status).toBe(200);
    expect(await response.text()).not.toContain(marked);
  });

  test("cannot write into the log by X-Request-Id", async () => {
    for (const id of ['a","status":200,"x":"', "a b", "a\tb", "\u001b[31m", "x".repeat(200), "{}", "../x", "é"]) {
      const response = await edge.fetch("/healthz", { headers: { "X-Request-Id": id } });
      expect(response.headers.get("X-Request-Id")).toMatch(/^[0-9a-f-]{36}$/);
    }
  });
});
