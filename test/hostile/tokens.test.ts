// Access tokens from somebody who has read RFC 8725 for the attacks: header tricks, odd claims under our own signature,
// and thousands of mutations of good tokens. One rule: nothing but an issued token, to the letter, is let through.
import * as fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { toBase64Url, utf8 } from "../../src/kit/encoding.ts";
import { Edge, loggedIn, type TokenResponse } from "../support.ts";
import { codeOf, faultsOf, refuseUnhandledRejections, SEED } from "./invariants.ts";
import { ownSigningKey } from "./keys.ts";

refuseUnhandledRejections();

const edge = new Edge({ LOG_REQUESTS: "off" });
const MUTATIONS = 25_000;
const ODD_CLAIMS = 2_500;

let tokens: TokenResponse;
let others: TokenResponse;
let kid: string;
let privateKey: CryptoKey;
let stranger: CryptoKeyPair;
let header: Record<string, unknown>;
let claims: Record<string, unknown>;

beforeAll(async () => {
  ({ tokens } = await loggedIn(edge));
  ({ tokens: others } = await loggedIn(edge, "admin"));
  ({ kid, privateKey } = await ownSigningKey());
  const rsa = { name: "RSASSA-PKCS1-v1_5", modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]) };
  stranger = (await crypto.subtle.generateKey({ ...rsa, hash: "SHA-256" }, true, ["sign", "verify"])) as CryptoKeyPair;
  const [first = "", second = ""] = tokens.access_token.split(".");
  header = JSON.parse(atob(first)) as Record<string, unknown>;
  claims = JSON.parse(atob(second.replaceAll("-", "+").replaceAll("_", "/"))) as Record<string, unknown>;
});

const encoded = (text: string | Uint8Array): string => toBase64Url(typeof text === "string" ? utf8(text) : text);

/** A token of exactly these two texts, signed by `key`. */
async function signed(first: string | Uint8Array, second: string | Uint8Array, key = privateKey): Promise<string> {
  const input = `${encoded(first)}.${encoded(second)}`;
  const signature = await crypto.subtle.sign("RSASSA-PKCS1-v1_5", key, utf8(input));
  return `${input}.${encoded(new Uint8Array(signature))}`;
}

/** What the gateway says of a token; a token let through is `status 200`. */
async function verdict(token: string): Promise<string> {
  const response = await edge.users(token);
  const code = await codeOf(response);
  const faults = response.status < 400 ? [] : await faultsOf(response, token.length > 40 ? [token] : []);
  return faults.length === 0 ? code : faults.join(", ");
}

const withHeader = (change: Record<string, unknown>): string => JSON.stringify({ ...header, ...change });
const withClaims = (change: Record<string, unknown>): string => JSON.stringify({ ...claims, ...change });

test("a token made of the same texts by our own key is let through, so that what follows is refused for its trick", async () => {
  expect(await verdict(await signed(JSON.stringify(header), JSON.stringify(claims)))).toBe("status 200");
});

describe("a header that no token of ours has is refused, even under our own signature", () => {
  const ALGORITHMS = [
    "none",
    "None",
    "NONE",
    "nOnE",
    "",
    " RS256",
    "RS256 ",
    "rs256",
    "Rs256",
    "RS256\u0000",
    "ＲＳ２５６",
  ];
  const OTHERS = [
    "HS256",
    "HS384",
    "HS512",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "ES256",
    "ES256K",
    "EdDSA",
    "RSA-OAEP",
  ];
  const KINDS = [null, 0, 256, true, ["RS256"], { RS256: true }, "RSASSA-PKCS1-v1_5", "sha256", "toString"];

  test.each([...ALGORITHMS, ...OTHERS, ...KINDS])("alg %j", async (alg) => {
    expect(await verdict(await signed(withHeader({ alg }), JSON.stringify(claims)))).toBe("invalid_token");
  });

  test.each(["JWT", "at+JWT", "AT+JWT", "application/at+jwt", "at jwt", "", null, 1, ["at+jwt"], "dpop+jwt", "аt+jwt"])(
    "typ %j",
    async (typ) => {
      expect(await verdict(await signed(withHeader({ typ }), JSON.stringify(claims)))).toBe("invalid_token");
    },
  );

  test.each([[["exp"]], [[]], [["b64"]], ["exp"], [null], [{ b64: true }]])("crit %j", async (crit) => {
    const tricked = withHeader({ crit, b64: false });
    expect(await verdict(await signed(tricked, JSON.stringify(claims)))).toBe("invalid_token");
  });

  test.each<unknown>([
    "../../../../dev/null",
    "' OR '1'='1",
    "x' UNION SELECT 'key",
    "https://evil.example/jwks.json",
    "__proto__",
    "constructor",
    "toString",
    "",
    " ",
    "\u0000",
    "\ud800",
    "k\u202e",
    "x".repeat(2000),
    null,
    0,
    true,
    [],
    ["a"],
    {},
    { toString: "a" },
  ])("kid %j", async (other) => {
    expect(await verdict(await signed(withHeader({ kid: other }), JSON.stringify(claims)))).toBe("invalid_token");
  });

  test("kid in other spellings of the right one", async () => {
    const spellings = [`${kid} `, ` ${kid}`, `${kid}\u0000`, `./${kid}`, kid.toUpperCase(), [kid], { kid }];
    for (const other of spellings.filter((spelling) => spelling !== kid)) {
      expect(await verdict(await signed(withHeader({ kid: other }), JSON.stringify(claims)))).toBe("invalid_token");
    }
  });

  test("whose last alg, of two, is another", async () => {
    const twice = JSON.stringify(header)
      .replace("{", '{"alg":"RS256",')
      .replace(/"alg":"RS256"(?=,"typ")/, '"alg":"none"');
    expect(JSON.parse(twice)).toMatchObject({ alg: "none" });
    expect(await verdict(await signed(twice, JSON.stringify(claims)))).toBe("invalid_token");
  });
});

describe("a key that the token brings along is not looked at", () => {
  test("jwk, jku, x5u, x5c, x5t, whoever's kid stands beside them", async () => {
    const jwk = await crypto.subtle.exportKey("jwk", stranger.publicKey);
    const carriers = [
      { jwk },
      { jwk: Object.assign({}, jwk, { kid }) },
      { jku: "https://evil.example/jwks.json" },
      { jku: "http://127.0.0.1:8787/.well-known/jwks.json#@evil.example" },
      { x5u: "https://evil.example/cert.pem" },
      { x5c: ["MIIB"] },
      { x5t: "AAAA", "x5t#S256": "AAAA" },
    ];
    for (const carrier of carriers) {
      for (const named of [kid, "stranger", undefined]) {
        const text = withHeader({ ...carrier, kid: named });
        expect(await verdict(await signed(text, JSON.stringify(claims), stranger.privateKey))).toBe("invalid_token");
      }
    }
  });

  test("HS256, 384 and 512 under anything public", async () => {
    const { keys } = await (await edge.fetch("/.well-known/jwks.json")).json<{ keys: JsonWebKey[] }>();
    const [published = { kty: "RSA" }] = keys;
    const spki = await crypto.subtle.exportKey(
      "spki",
      await crypto.subtle.importKey("jwk", published, { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" }, true, ["verify"]),
    );
    const base64 = new Uint8Array(spki as ArrayBuffer).toBase64();
    const pem = `-----BEGIN PUBLIC KEY-----\n${base64.replaceAll(/.{64}/g, "$&\n")}\n-----END PUBLIC KEY-----`;
    const secrets = [
      pem,
      `${pem}\n`,
      base64,
      JSON.stringify(published),
      JSON.stringify({ keys }),
      published.n ?? "",
      " ",
    ];
    for (const secret of secrets) {
      for (const bits of [256, 384, 512]) {
        const algorithm = { name: "HMAC", hash: `SHA-${bits}` };
        const key = await crypto.subtle.importKey("raw", utf8(secret), algorithm, false, ["sign"]);
        for (const alg of [`HS${bits}`, "RS256"]) {
          const input = `${encoded(withHeader({ alg }))}.${encoded(JSON.stringify(claims))}`;
          const tag = new Uint8Array(await crypto.subtle.sign("HMAC", key, utf8(input)));
          expect(await verdict(`${input}.${encoded(tag)}`)).toBe("invalid_token");
        }
      }
    }
  });
});

describe("claims that no token of ours has are refused, even under our own signature", () => {
  const LOOK_ALIKES: readonly (readonly [string, () => string | Uint8Array])[] = [
    ["a byte order mark", () => `\uFEFF${JSON.stringify(claims)}`],
    ["bytes that are not UTF-8", () => new Uint8Array([...utf8(withClaims({ role: "" })), 0xff])],
    ["an overlong slash", () => new Uint8Array([0x22, 0xc0, 0xaf, 0x22])],
    ["an array around them", () => `[${JSON.stringify(claims)}]`],
    ["text around them", () => JSON.stringify(JSON.stringify(claims))],
    ["a comment", () => `/**/${JSON.stringify(claims)}`],
    ["a trailing comma", () => JSON.stringify(claims).replace("}", ",}")],
    ["something after them", () => `${JSON.stringify(claims)}{}`],
    ["nothing", () => ""],
    ["null", () => "null"],
    ["arrays a thousand deep", () => `${"[".repeat(1000)}${"]".repeat(1000)}`],
    [
      "objects four hundred deep for a subject",
      () => withClaims({}).replace(/"sub":"[^"]+"/, `"sub":${'{"a":'.repeat(400)}1${"}".repeat(400)}`),
    ],
    ["a NUL after the subject", () => withClaims({ sub: `${String(claims["sub"])}\u0000` })],
    ["a Cyrillic letter in the audience", () => withClaims({ aud: String(claims["aud"]).replace("o", "о") })],
    ["a lone surrogate in the subject", () => withClaims({ sub: "\ud800" })],
    ["an upper-case subject", () => withClaims({ sub: String(claims["sub"]).toUpperCase().replace(/^0/, "A") })],
    ["the audience in a list", () => withClaims({ aud: [claims["aud"]] })],
    ["the issuer in a list", () => withClaims({ iss: [claims["iss"]] })],
    ["the issuer with a slash", () => withClaims({ iss: `${String(claims["iss"])}/` })],
    [
      "a second, other issuer",
      () =>
        JSON.stringify(claims)
          .replace("{", '{"iss":"https://evil.example",')
          .replace(/}$/, ',"iss":"https://evil.example"}'),
    ],
    ["an exp of Infinity", () => JSON.stringify(claims).replace(/"exp":\d+/, '"exp":1e999')],
    ["an exp beyond safe integers", () => JSON.stringify(claims).replace(/"exp":\d+/, '"exp":9007199254740993')],
    ["a negative exp", () => withClaims({ exp: -1 })],
    ["an exp of text", () => withClaims({ exp: String(claims["exp"]) })],
    ["claims under __proto__ only", () => `{"__proto__":${JSON.stringify(claims)}}`],
  ];

  test.each(LOOK_ALIKES)("%s", async (_, text) => {
    const code = await verdict(await signed(JSON.stringify(header), text()));
    expect(["invalid_token", "token_expired"]).toContain(code);
  });

  test("any one claim replaced by any JSON value", async () => {
    const names = ["iss", "aud", "sub", "sid", "client_id", "iat", "exp", "jti"];
    const change = fc.record({ name: fc.constantFrom(...names), value: fc.jsonValue({ depthSize: "small" }) });
    await fc.assert(
      fc.asyncProperty(change, async ({ name, value }) => {
        // A jti may be any text, since nothing is looked up by it.
        if (name === "jti" && typeof value === "string") return;
        if (Object.is(value, claims[name])) return;
        const code = await verdict(await signed(JSON.stringify(header), withClaims({ [name]: value })));
        expect(["invalid_token", "token_expired"]).toContain(code);
      }),
      { seed: SEED, numRuns: ODD_CLAIMS },
    );
  });
});

describe("a token that is not to the letter one that was issued is refused", () => {
  const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

  test("in every other spelling of its base64url", async () => {
    const [first = "", second = "", third = ""] = tokens.access_token.split(".");
    const last = ALPHABET.indexOf(third.at(-1) ?? "");
    const tails = ALPHABET.split("")
      .filter((_, at) => at !== last)
      .map((letter) => third.slice(0, -1) + letter);
    const spellings = [
      ...tails.map((tail) => `${first}.${second}.${tail}`),
      ...["=", "==", "%3D", "%0A", "%00", "A", "."].map((tail) => `${first}.${second}.${third}${tail}`),
      `.${first}.${second}.${third}`,
      `${first}..${second}.${third}`,
      `${first}.${second}.${third}.${third}`,
      `${first}.${second}.`,
      `${first}.${second}`,
      `${first}%2E${second}%2E${third}`,
      `${first}=.${second}=.${third}`,
      `${first}. ${second}.${third}`,
      `${first}\t.${second}.${third}`,
      `"${first}.${second}.${third}"`,
      `${first}.${second}.${third};x`,
      `${first}.${second}.${third} x`,
    ];
    const both = third.includes("-") || third.includes("_");
    if (both) spellings.push(`${first}.${second}.${third.replaceAll("-", "+").replaceAll("_", "/")}`);
    for (const spelling of spellings) expect(await verdict(spelling)).toBe("invalid_token");
  });

  test(`under ${MUTATIONS} mutations of characters and segments`, async () => {
    const good = [tokens.access_token, others.access_token];
    const position = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
    const edit = fc.record({
      kind: fc.constantFrom("replace", "insert", "delete", "swap", "cut", "double"),
      at: position,
      letter: fc.constantFrom(...ALPHABET.split(""), "=", "+", "/", ".", "~"),
    });
    const mix = fc.tuple(fc.nat(1), fc.nat(1), fc.nat(1));
    const applied = (text: string, { kind, at, letter }: { kind: string; at: number; letter: string }): string => {
      const here = Math.floor(at * text.length);
      const [before, after] = [text.slice(0, here), text.slice(here)];
      switch (kind) {
        case "replace":
          return before + letter + after.slice(1);
        case "insert":
          return before + letter + after;
        case "delete":
          return before + after.slice(1);
        case "swap":
          return before + after.slice(0, 2).split("").toReversed().join("") + after.slice(2);
        case "cut":
          return before;
        default:
          return before + after.slice(0, 8) + after;
      }
    };
    await fc.assert(
      fc.asyncProperty(mix, fc.array(edit, { maxLength: 3 }), async (from, edits) => {
        const mixed = from.map((which, at) => good[which]?.split(".")[at] ?? "").join(".");
        const token = edits.reduce(applied, mixed);
        if (good.includes(token)) return;
        expect(["invalid_token", "missing_token"]).toContain(await verdict(token));
      }),
      { seed: SEED, numRuns: MUTATIONS },
    );
  });

  test("and as anything that fits in a header", async () => {
    const value = fc.string({ unit: fc.integer({ min: 0x21, max: 0x7e }).map((code) => String.fromCharCode(code)) });
    const shape = fc.oneof(
      value,
      fc.tuple(value, value, value).map((parts) => parts.map(encoded).join(".")),
    );
    await fc.assert(
      fc.asyncProperty(shape, async (token) => {
        expect(["invalid_token", "missing_token", "invalid_request"]).toContain(await verdict(token));
      }),
      { seed: SEED, numRuns: 3_000 },
    );
  });

  test("in any length", async () => {
    for (const length of [1, 2, 4_095, 4_096, 4_097, 100_000, 2_000_000]) {
      expect(await verdict("A".repeat(length))).toBe("invalid_token");
      expect(await verdict(`${"A".repeat(length)}.${"A".repeat(length)}.${"A".repeat(length)}`)).toBe("invalid_token");
      expect(await verdict(".".repeat(length))).toBe("invalid_token");
    }
  });

  test("while the issued ones are let through to the end", async () => {
    for (const token of [tokens.access_token, others.access_token]) expect(await verdict(token)).toBe("status 200");
  });
});
