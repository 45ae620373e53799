import { fc, test as prop } from "@fast-check/vitest";
import { describe, expect, test } from "vitest";
import { usernameKey, isUsername } from "../../src/accounts/username.ts";
import { BoundedMap } from "../../src/kit/bounded-map.ts";
import { parseConfig } from "../../src/kit/config.ts";
import { onDatabase } from "../../src/kit/database.ts";
import { fromBase64Url, fromUuid, isUuid, toBase64Url, toUuid, uuidV7 } from "../../src/kit/encoding.ts";
import { describe as describeError } from "../../src/kit/log.ts";
import type { Runtime } from "../../src/kit/runtime.ts";
import { keysFor } from "../../src/kit/secrets.ts";
import { addressPrefix } from "../../src/limits/address.ts";
import { createRefreshTokenCodec } from "../../src/sessions/refresh-token.ts";
import { keyStates } from "../../src/tokens/key-states.ts";

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });

describe("base64url", () => {
  prop.prop([fc.uint8Array({ maxLength: 100 })])("comes back as it went", (data) => {
    expect(fromBase64Url(toBase64Url(data))).toEqual(data);
  });

  test.each(["A", "AB", "AAB", "AA==", "A A", "AA\n", "A+", "A/", "ä"])("%j is not canonical", (text) => {
    expect(fromBase64Url(text)).toBeNull();
  });
});

describe("UUIDs", () => {
  prop.prop([bytes(16)])("come back as they went", (data) => {
    const uuid = toUuid(data);
    expect(isUuid(uuid)).toBe(true);
    expect(fromUuid(uuid)).toEqual(data);
  });

  prop.prop([fc.integer({ min: 0, max: 2 ** 47 }), fc.integer({ min: 1, max: 2 ** 30 }), bytes(10), bytes(10)])(
    "of version 7 sort by time and say what they are",
    (now, later, a, b) => {
      const [first, second] = [uuidV7(now, a), uuidV7(now + later, b)];
      expect(first < second).toBe(true);
      expect(first).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
      expect(parseInt(first.slice(0, 13).replace("-", ""), 16)).toBe(now);
    },
  );
});

describe("the refresh token", () => {
  const secrets = { current: new Uint8Array(32).fill(1), previous: new Uint8Array(32).fill(2) };
  const codec = createRefreshTokenCodec(keysFor(secrets, "refresh-token", "hmac"));
  const token = fc.record({
    userId: bytes(16).map(toUuid),
    sessionId: bytes(16).map(toUuid),
    familySecret: bytes(16).map((data) => new Uint8Array(data)),
    generation: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  });

  prop.prop([token])("comes back as it went, and is the same text every time", async (fields) => {
    const text = await codec.encode(fields);
    expect(await codec.decode(text)).toEqual(fields);
    expect(await codec.encode(fields)).toBe(text);
  });

  prop.prop([token, fc.nat(), fc.integer({ min: 1, max: 255 })])(
    "with any bit changed is nobody's",
    async (fields, at, mask) => {
      const text = await codec.encode(fields);
      const data = fromBase64Url(text.slice(5)) ?? new Uint8Array();
      const index = at % data.length;
      data[index] = (data[index] ?? 0) ^ mask;
      expect(await codec.decode(`prt1_${toBase64Url(data)}`)).toBeNull();
    },
  );

  test("of the previous secret is accepted, of any other not", async () => {
    const fields = {
      userId: toUuid(new Uint8Array(16)),
      sessionId: toUuid(new Uint8Array(16)),
      familySecret: new Uint8Array(16),
      generation: 1,
    };
    const of = (current: number) =>
      createRefreshTokenCodec(
        keysFor({ current: new Uint8Array(32).fill(current), previous: null }, "refresh-token", "hmac"),
      );
    expect(await codec.decode(await of(2).encode(fields))).toEqual(fields);
    expect(await codec.decode(await of(3).encode(fields))).toBeNull();
    expect(await of(1).decode(await of(2).encode(fields))).toBeNull();
  });

  prop.prop([fc.string()])("is not any text", async (text) => {
    expect(await codec.decode(text)).toBeNull();
    expect(await codec.decode(`prt1_${text}`)).toBeNull();
  });
});

describe("key states", () => {
  const key = (kid: string, createdAt: number, activeAt: number, withdrawnAt: number | null = null) => ({
    kid,
    createdAt,
    activeAt,
    withdrawnAt,
  });
  const kids = (keys: readonly { kid: string }[]) => keys.map(({ kid }) => kid);

  test("follow from the times alone", () => {
    const keys = [key("c", 250, 300), key("a", 0, 0), key("b", 50, 100)];
    const at = (now: number) => {
      const { next, current, retired } = keyStates(keys, now, 90);
      return [kids(next), current?.kid, kids(retired)];
    };
    expect(at(0)).toEqual([["b", "c"], "a", []]);
    expect(at(100)).toEqual([["c"], "b", ["a"]]);
    expect(at(189)).toEqual([["c"], "b", ["a"]]);
    expect(at(190)).toEqual([["c"], "b", []]);
    expect(at(300)).toEqual([[], "c", ["b"]]);
  });

  test("leave out a key from when it was withdrawn", () => {
    const keys = [key("a", 0, 0), key("b", 0, 10, 50)];
    expect(keyStates(keys, 40, 90).current?.kid).toBe("b");
    expect(keyStates(keys, 50, 90)).toMatchObject({ current: { kid: "a" }, retired: [] });
  });

  test("of no keys are empty", () => {
    expect(keyStates([], 0, 90)).toEqual({ next: [], current: null, retired: [] });
  });
});

describe("the client address", () => {
  test.each([
    [null, "127.0.0.1"],
    ["198.51.100.7", "198.51.100.7"],
    [" 198.51.100.7 ", "198.51.100.7"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
    ["2001:DB8:1:2::9", "2001:db8:1:2::/64"],
    ["2001:db8::1", "2001:db8:0:0::/64"],
    ["::1", "0:0:0:0::/64"],
    ["fe80::1%eth0", "fe80:0:0:0::/64"],
    ["::ffff:198.51.100.7", "198.51.100.7"],
    ["::ffff:c633:6407", "198.51.100.7"],
    ["0:0:0:0:0:ffff:198.51.100.7", "198.51.100.7"],
    ["64:ff9b::198.51.100.7", "64:ff9b:0:0::/64"],
    ["", "malformed"],
    ["256.1.1.1", "malformed"],
    ["1.2.3", "malformed"],
    ["1.2.3.4.", "malformed"],
    ["01.2.3.4", "malformed"],
    ["0x7f.1", "malformed"],
    ["2001:db8::1::2", "malformed"],
    ["[::1]", "malformed"],
    ["::1, 10.0.0.1", "malformed"],
    ["localhost", "malformed"],
    ["1.2.3.4:80", "malformed"],
  ])("%j counts as %s", (header, prefix) => {
    expect(addressPrefix(header)).toBe(prefix);
  });

  prop.prop([fc.ipV6()])("of IPv6 keeps its first 64 bits and nothing of the rest", (address) => {
    const prefix = addressPrefix(address);
    expect(prefix).toMatch(/^([0-9a-f]{1,4}:){4}:\/64$|^\d+\.\d+\.\d+\.\d+$/);
  });

  prop.prop([fc.ipV4()])("of IPv4 is itself", (address) => {
    expect(addressPrefix(address)).toBe(address);
  });
});

describe("usernames", () => {
  test.each(["a", "Ünïque", "first last", "名前", "o'brien@example.org", "🙂"])("%j is one", (name) => {
    expect(isUsername(name)).toBe(true);
  });

  test.each(["", " a", "a ", "a\u0000", "a\nb", "\u200b", "\ud800", "x".repeat(129)])("%j is none", (name) => {
    expect(isUsername(name)).toBe(false);
  });

  test("fold to one key whatever their case and composition", () => {
    expect(usernameKey("ÅNGSTRÖM")).toBe(usernameKey("a\u030angstro\u0308m"));
    expect(usernameKey("STRASSE")).toBe(usernameKey("straße"));
    expect(usernameKey("ﬁsh")).toBe(usernameKey("FISH"));
    expect(usernameKey("a")).not.toBe(usernameKey("b"));
  });
});

describe("a bounded map", () => {
  test("forgets what was used least recently", () => {
    const map = new BoundedMap<string, number>(2);
    map.set("a", 1);
    map.set("b", 2);
    expect(map.get("a")).toBe(1);
    map.set("c", 3);
    expect([map.get("a"), map.get("b"), map.get("c"), map.size]).toEqual([1, undefined, 3, 2]);
    map.delete("a");
    expect(map.get("a")).toBeUndefined();
  });
});

describe("the database wrapper", () => {
  const pauses: number[] = [];
  const runtime: Runtime = {
    now: () => 0,
    randomBytes: (length) => new Uint8Array(length),
    sleep: (milliseconds) => {
      pauses.push(milliseconds);
      return Promise.resolve();
    },
    waitUntil: () => undefined,
  };

  test("tries transient errors again, and gives up after three", async () => {
    let calls = 0;
    const flaky = (failures: number) => () => {
      calls += 1;
      return calls <= failures
        ? Promise.reject(new Error("D1_ERROR: Network connection lost."))
        : Promise.resolve("done");
    };
    expect(await onDatabase(runtime, flaky(2))).toEqual({ ok: true, value: "done" });
    expect(pauses).toEqual([50, 100]);
    calls = 0;
    expect(await onDatabase(runtime, flaky(3))).toMatchObject({ ok: false, failure: { dependency: "database" } });
  });

  test("does not repeat what is simply wrong", async () => {
    let calls = 0;
    const wrong = () => {
      calls += 1;
      return Promise.reject(new Error("no such table: users"));
    };
    expect(await onDatabase(runtime, wrong)).toMatchObject({ ok: false });
    expect(calls).toBe(1);
  });
});

describe("an error in the log", () => {
  test("is its class and message, and of anything else only that it was none", () => {
    expect(describeError(new TypeError("x"))).toBe("TypeError: x");
    expect(describeError("a secret thrown as text")).not.toContain("secret");
  });
});

describe("the configuration", () => {
  const secret = btoa("a".repeat(32));
  const minimal = {
    ISSUER: "https://auth.example.com",
    AUDIENCE: "api",
    AUTH_SECRET: secret,
    ORIGIN_SECRET: secret,
    ORIGIN_URL: "https://api.example.com",
    DB: {},
    USER_SESSIONS: {},
    COUNTERS: {},
  };
  const faultsOf = (overrides: Record<string, unknown>) => {
    const parsed = parseConfig({ ...minimal, ...overrides });
    return parsed.ok ? [] : parsed.faults.map(({ variable }) => variable);
  };

  test("has the contract's defaults, and is frozen", () => {
    const parsed = parseConfig(minimal);
    if (!parsed.ok) throw new Error(JSON.stringify(parsed.faults));
    expect(Object.isFrozen(parsed.config)).toBe(true);
    expect(parsed.config).toMatchObject({
      clientId: "postern",
      accessTokenSeconds: 900,
      refreshIdleSeconds: 604_800,
      refreshMaxSeconds: 7_776_000,
      refreshRaceSeconds: 10,
      revocationLeaseSeconds: 2,
      maxSessionsPerUser: 50,
      signingKeyBits: 2048,
      limits: { login: { quota: 10, windowSeconds: 60 } },
      passwordMinLength: 15,
      registrationOpen: false,
      originTimeoutSeconds: 30,
      forwardAuthorization: false,
      corsOrigins: [],
      authSecretPrevious: null,
      routes: [{ path: "/api/*", methods: null, roles: null, public: false }],
    });
  });

  test("takes numbers and digits alike", () => {
    for (const value of [5, "5"]) {
      const parsed = parseConfig({ ...minimal, REVOCATION_LEASE_SECONDS: value });
      expect(parsed.ok && parsed.config.revocationLeaseSeconds).toBe(5);
    }
  });

  test.each<[string, unknown]>([
    ["ISSUER", undefined],
    ["ISSUER", "http://auth.example.com"],
    ["ISSUER", "https://auth.example.com/"],
    ["AUDIENCE", ""],
    ["ACCESS_TOKEN_SECONDS", "0"],
    ["ACCESS_TOKEN_SECONDS", "1.5"],
    ["ACCESS_TOKEN_SECONDS", -1],
    ["ACCESS_TOKEN_SECONDS", "99999999999"],
    ["ACCESS_TOKEN_SECONDS", ""],
    ["REVOCATION_LEASE_SECONDS", "11"],
    ["SIGNING_KEY_BITS", "1024"],
    ["SIGNING_KEY_BITS", "2500"],
    ["RATE_LIMIT_LOGIN", "10"],
    ["RATE_LIMIT_LOGIN", "0/60"],
    ["RATE_LIMIT_LOGIN", "10/90000"],
    ["PASSWORD_MIN_LENGTH", "7"],
    ["REGISTRATION", "yes"],
    ["FORWARD_AUTHORIZATION", "1"],
    ["CORS_ORIGINS", "*"],
    ["CORS_ORIGINS", "https://a.example/path"],
    ["AUTH_SECRET", undefined],
    ["AUTH_SECRET", "not base64!"],
    ["AUTH_SECRET_PREVIOUS", "c2hvcnQ="],
    ["ORIGIN_URL", "ftp://api.example.com"],
    ["ORIGIN_URL", "https://api.example.com/base"],
    ["ORIGIN_KEY_ID", 'a"b'],
    ["ROUTES", "["],
    ["ROUTES", "[]"],
    ["ROUTES", '[{"path":"/a*b"}]'],
    ["ROUTES", '[{"path":"/a","method":"GET"}]'],
    ["ROUTES", '[{"path":"/a","methods":["get"]}]'],
    ["ROUTES", '[{"path":"/a","public":true,"roles":["admin"]}]'],
    ["DB", undefined],
    ["COUNTERS", undefined],
  ])("names %s when it is %j", (variable, value) => {
    expect(faultsOf({ [variable]: value })).toContain(variable);
  });

  test("names all faults at once", () => {
    expect(faultsOf({ ISSUER: "x", AUDIENCE: undefined, DB: undefined, ORIGIN: {} }).toSorted()).toEqual([
      "AUDIENCE",
      "DB",
      "ISSUER",
      "ORIGIN",
    ]);
    expect(faultsOf({ ORIGIN_URL: undefined })).toEqual(["ORIGIN"]);
  });
});
