import { fc, test as property } from "@fast-check/vitest";
import { describe, expect, test } from "vitest";
import {
  type RequestFacts,
  rewriteRequestHeaders,
  rewriteResponseHeaders,
  withoutOwnCookies,
} from "../../src/origin/headers.ts";

const facts: RequestFacts = {
  identity: { userId: "u-1", role: "user", sessionId: "s-1", method: "jwt" },
  requestId: "r-1",
  clientAddress: "203.0.113.7",
  scheme: "https",
  host: "api.example.com",
};

/** What Postern writes for `facts`. */
const written = {
  via: "1.1 postern",
  "x-auth-method": "jwt",
  "x-forwarded-for": "203.0.113.7",
  "x-forwarded-host": "api.example.com",
  "x-forwarded-proto": "https",
  "x-request-id": "r-1",
  "x-session-id": "s-1",
  "x-user-id": "u-1",
  "x-user-role": "user",
};

function toOrigin(init: HeadersInit, with_: Partial<RequestFacts> = {}, keepAuthorization = false) {
  const headers = new Headers(init);
  rewriteRequestHeaders(headers, { ...facts, ...with_ }, keepAuthorization);
  return Object.fromEntries(headers);
}

function toClient(init: HeadersInit): Headers {
  const headers = new Headers(init);
  rewriteResponseHeaders(headers);
  return headers;
}

describe("to the origin", () => {
  test("identity, request id and the way the request came are added", () => {
    expect(toOrigin({})).toEqual(written);
  });

  test("on a public route the identity headers are absent, not empty", () => {
    expect(Object.keys(toOrigin({ "X-User-Id": "evil" }, { identity: null })).sort()).toEqual([
      "via",
      "x-forwarded-for",
      "x-forwarded-host",
      "x-forwarded-proto",
      "x-request-id",
    ]);
  });

  test("what is the client's and harmless passes byte for byte", () => {
    const own = {
      accept: "text/html;q=0.9, */*",
      "accept-encoding": "gzip, br;q=0.5",
      "content-type": "application/json",
      "idempotency-key": '"a b"',
      range: "bytes=0-3",
      "if-none-match": 'W/"x"',
      "last-event-id": "7",
      "x-custom_name": "kept",
    };
    expect(toOrigin(own)).toEqual({ ...written, ...own });
  });

  test.each([
    "X-User-Id",
    "x-user-anything",
    "X_User_Id",
    "X-USER_ROLE",
    "x.user.id",
    "X-Session-Id",
    "x_session_id",
    "X-Auth-Method",
    "X-Forwarded-For",
    "X-Forwarded-User",
    "X_Forwarded_Host",
    "X-Forwarded",
    "Forwarded",
    "Signature",
    "Signature-Input",
    "Signature_Input",
    "X-Real-IP",
    "X_Real_IP",
    "X-Request-Id",
    "True-Client-IP",
    "X-Original-URL",
    "X_Rewrite_Url",
    "X-HTTP-Method-Override",
    "Cloudflare-Workers-Version-Key",
    "Cloudflare-Workers-Version-Overrides",
    "Keep-Alive",
    "Proxy-Authorization",
    "Proxy-Connection",
    "TE",
    "Trailer",
    "Transfer-Encoding",
    "Upgrade",
    "HTTP2-Settings",
    "Authorization",
  ])("the client's %s is removed", (name) => {
    expect(toOrigin([[name, "evil"]])).toEqual(written);
  });

  test("duplicates of an identity header leave one value, ours", () => {
    const twice: [string, string][] = [
      ["X-User-Id", "evil"],
      ["x-user-id", "evil"],
      ["X_User_Id", "evil"],
    ];
    expect(toOrigin(twice)).toEqual(written);
  });

  test("fields that Connection names are removed, in any case", () => {
    expect(
      toOrigin({ Connection: "close, X-Secret,x-other ,", "X-Secret": "1", "X-Other": "2", "X-Third": "3" }),
    ).toEqual({ ...written, "x-third": "3" });
  });

  test("Connection cannot name away what Postern adds", () => {
    expect(toOrigin({ Connection: Object.keys(written).join(", ") })).toEqual(written);
  });

  test("a Connection field of nonsense is no error", () => {
    expect(toOrigin({ Connection: ' , ;;"x y"=(@), {}' })).toEqual(written);
  });

  test("Via is appended to the client's", () => {
    expect(toOrigin({ Via: "1.0 fred" })["via"]).toBe("1.0 fred, 1.1 postern");
  });

  test("Authorization passes when the origin is to verify it", () => {
    expect(toOrigin({ Authorization: "Bearer x" }, {}, true)).toEqual({ ...written, authorization: "Bearer x" });
  });

  test("the upgrade to a WebSocket passes, with its subprotocols; no other upgrade does", () => {
    const socket = { Connection: "Upgrade", Upgrade: "WebSocket", "Sec-WebSocket-Protocol": "chat, v2" };
    expect(toOrigin(socket)).toEqual({ ...written, upgrade: "websocket", "sec-websocket-protocol": "chat, v2" });
    expect(toOrigin({ Connection: "Upgrade, HTTP2-Settings", Upgrade: "h2c", "HTTP2-Settings": "x" })).toEqual(written);
  });

  property.prop(
    [
      fc.constantFrom(
        "x-user-id",
        "x-user-role",
        "x-session-id",
        "x-auth-method",
        "x-forwarded-for",
        "signature-input",
      ),
      fc.array(fc.tuple(fc.boolean(), fc.constantFrom("-", "_", ".", "~", "!", "*")), { minLength: 16, maxLength: 16 }),
    ],
    { numRuns: 500 },
  )("no spelling of an identity header survives", (name, choices) => {
    const spelling = Array.from(name, (character, index) => {
      const [upper, separator] = choices[index] ?? [false, "-"];
      return character === "-" ? separator : upper ? character.toUpperCase() : character;
    }).join("");
    expect(toOrigin([[spelling, "evil"]])).toEqual(written);
  });
});

describe("Postern's own cookies", () => {
  test.each([
    ["alone", "session_id=1", null],
    ["both, and nothing else", "__Host-refresh_token=a; session_id=b", null],
    ["first", "session_id=1; a=b; c=d", "a=b; c=d"],
    ["between", "a=b; session_id=1; c=d", "a=b; c=d"],
    ["last", "a=b; c=d; __Host-refresh_token=x", "a=b; c=d"],
    ["repeated", "session_id=1; a=b; session_id=2", "a=b"],
    ["without spaces", "a=b;session_id=1;c=d", "a=b;c=d"],
    ["with the prefix in other letters", "__hOsT-refresh_token=x; a=b", "a=b"],
    ["quoted", 'a=b; session_id="x y"', "a=b"],
    ["empty", "a=b; session_id=", "a=b"],
    ["in a second Cookie field, as the runtime joins them", "a=b, session_id=1", "a=b"],
    ["in a first Cookie field, as the runtime joins them", "session_id=1, a=b", "a=b"],
  ])("are taken out: %s", (_name, cookie, rest) => {
    expect(withoutOwnCookies(cookie)).toBe(rest);
  });

  test.each([
    "a=b;  c=d ;e",
    "xsession_id=1",
    "session_id2=1",
    "Session_Id=1",
    "session_id",
    "a=session_id=1",
    "refresh_token=1; __Secure-refresh_token=2; __Host-Refresh_Token=3",
    'a="b, c"; d=e,f',
    "",
  ])("others keep their bytes: %s", (cookie) => {
    expect(withoutOwnCookies(cookie)).toBe(cookie);
  });

  test("the Cookie field is dropped when it is left empty, and kept otherwise", () => {
    expect(toOrigin({ Cookie: "session_id=1" })).toEqual(written);
    expect(toOrigin({ Cookie: "a=b; session_id=1" })).toEqual({ ...written, cookie: "a=b" });
    expect(toOrigin({ Cookie: "a=b" })).toEqual({ ...written, cookie: "a=b" });
  });
});

describe("to the client", () => {
  test("hop-by-hop fields and those that Connection names are removed", () => {
    const headers = toClient({
      Connection: "x-foo",
      "X-Foo": "1",
      "Keep-Alive": "timeout=5",
      Upgrade: "h2c",
      Trailer: "x",
      "Proxy-Authenticate": "Basic",
      ETag: '"x"',
    });
    expect([...headers]).toEqual([["etag", '"x"']]);
  });

  test("identity headers that the origin echoes are removed, in any spelling", () => {
    const echoed = ["X-User-Id", "x_user_role", "X-Session-Id", "X-Auth-Method", "X-Forwarded-For", "X-Request-Id"];
    expect([...toClient(echoed.map((name): [string, string] => [name, "x"]))]).toEqual([]);
  });

  test("Postern's signature is removed, one of the origin's own passes", () => {
    const ours = { "Signature-Input": 'postern=("@method");created=1', Signature: "postern=:AA==:" };
    const own = { "Signature-Input": 'sig1=("@status");created=1', Signature: "sig1=:AA==:" };
    expect([...toClient(ours)]).toEqual([]);
    expect([...toClient(own)]).toHaveLength(2);
  });

  test("several Set-Cookie fields stay several; one of Postern's names does not pass", () => {
    const headers = new Headers();
    headers.append("Set-Cookie", "a=1; Expires=Wed, 09 Jun 2027 10:18:14 GMT");
    headers.append("Set-Cookie", "session_id=fixated; Path=/");
    headers.append("Set-Cookie", "b=2");
    rewriteResponseHeaders(headers);
    expect(headers.getSetCookie()).toEqual(["a=1; Expires=Wed, 09 Jun 2027 10:18:14 GMT", "b=2"]);
  });
});
