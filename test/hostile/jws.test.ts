// JSON Web Signatures as public vectors have them: RFC 7515 A.2, then every class of the RS256 groups of Project
// Wycheproof, made anew from a key of this file: other spellings, other algorithms, and encoded messages (RFC 8017
// section 9.2) that a careless PKCS #1 v1.5 verifier takes. Below HTTP: their payloads are no claims of ours.
import { beforeAll, describe, expect, test } from "vitest";
import { fromBase64Url, toBase64Url, utf8 } from "../../src/kit/encoding.ts";
import { parseJws, verifyJws } from "../../src/tokens/jws.ts";
import { refuseUnhandledRejections } from "./invariants.ts";

refuseUnhandledRejections();

const RSA = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" } as const;

const importPublic = (n: string, e: string): Promise<CryptoKey> =>
  crypto.subtle.importKey("jwk", { kty: "RSA", n, e }, RSA, false, ["verify"]);

async function isAccepted(token: string, key: CryptoKey): Promise<boolean> {
  const jws = parseJws(token);
  return jws !== null && jws.header["alg"] === "RS256" && (await verifyJws(jws, key));
}

test("RFC 7515 A.2 is accepted, and refused with any segment of another", async () => {
  const key = await importPublic(
    "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ",
    "AQAB",
  );
  const segments = [
    "eyJhbGciOiJSUzI1NiJ9",
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ",
    "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
  ];
  expect(await isAccepted(segments.join("."), key)).toBe(true);
  const swapped = ["eyJhbGciOiJSUzI1NiIsInQiOjF9", "eyJpc3MiOiJqb2UifQ", "AAAA"];
  for (const at of [0, 1, 2]) {
    const other = segments.map((segment, index) => (index === at ? (swapped[at] ?? "") : segment));
    expect(await isAccepted(other.join("."), key)).toBe(false);
  }
});

const toBigInt = (bytes: Uint8Array): bigint => BigInt(`0x${bytes.toHex() || "0"}`);
const toBytes = (value: bigint, length: number): Uint8Array =>
  Uint8Array.fromHex(value.toString(16).padStart(length * 2, "0"));

function power(base: bigint, exponent: bigint, modulus: bigint): bigint {
  let result = 1n;
  let square = base % modulus;
  for (let bits = exponent; bits > 0n; bits >>= 1n) {
    if ((bits & 1n) === 1n) result = (result * square) % modulus;
    square = (square * square) % modulus;
  }
  return result;
}

const MODULUS_BYTES = 256;
const HEADER = toBase64Url(utf8('{"alg":"RS256"}'));
const SIGNED = `${HEADER}.${toBase64Url(utf8('{"foo":1}'))}`;
/** DigestInfo of SHA-256 before its digest, and what forgers make of it. */
const PREFIX = "3031300d060960864801650304020105000420";

interface RawKey {
  readonly key: CryptoKey;
  readonly n: bigint;
  readonly d: bigint;
}

let rsa: RawKey;
let digest: string;

beforeAll(async () => {
  const algorithm = { ...RSA, modulusLength: MODULUS_BYTES * 8, publicExponent: new Uint8Array([1, 0, 1]) };
  const pair = (await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"])) as CryptoKeyPair;
  const jwk = (await crypto.subtle.exportKey("jwk", pair.privateKey)) as JsonWebKey;
  const number = (text = ""): bigint => toBigInt(fromBase64Url(text) ?? new Uint8Array());
  rsa = { key: await importPublic(jwk.n ?? "", "AQAB"), n: number(jwk.n), d: number(jwk.d) };
  digest = new Uint8Array(await crypto.subtle.digest("SHA-256", utf8(SIGNED))).toHex();
});

const signature = (encodedMessage: string): Uint8Array =>
  toBytes(power(BigInt(`0x${encodedMessage}`), rsa.d, rsa.n), MODULUS_BYTES);

/** 00 01, `padding` repeated, 00, `info`, to the length of the modulus. */
const padded = (info: string, padding = "ff", start = "0001", end = "00"): string =>
  `${start}${padding.repeat(MODULUS_BYTES - (start.length + end.length + info.length) / 2)}${end}${info}`;

const tokenOf = (bytes: Uint8Array): string => `${SIGNED}.${toBase64Url(bytes)}`;

describe("an encoded message", () => {
  test("that is the one of RFC 8017 is accepted", async () => {
    expect(await isAccepted(tokenOf(signature(padded(PREFIX + digest))), rsa.key)).toBe(true);
  });

  test.each<[string, () => string]>([
    ["without the NULL of its algorithm", () => padded(`302f300b06096086480165030402010420${digest}`)],
    ["with long-form lengths", () => padded(`308131300d060960864801650304020105000420${digest}`)],
    ["with an indefinite length", () => padded(`3080300d060960864801650304020105000420${digest}0000`)],
    ["with parameters that are not NULL", () => padded(`3033300f0609608648016503040201050200000420${digest}`)],
    ["with the identifier of SHA-1", () => padded(`3029300906052b0e03021a05000420${digest}`)],
    ["with the identifier of SHA-512", () => padded(`3031300d060960864801650304020305000420${digest}`)],
    ["with the identifier of MD5", () => padded(`3030300c06082a864886f70d020505000420${digest}`)],
    ["with no DigestInfo at all", () => padded(digest)],
    ["with a digest that is a byte short", () => padded(`3030300d06096086480165030402010500041f${digest.slice(2)}`)],
    ["with a digest of nothing", () => padded("3011300d060960864801650304020105000400")],
    ["with a byte after its digest", () => padded(`${PREFIX}${digest}00`)],
    ["with garbage after eight bytes of padding", () => `0001${"ff".repeat(8)}00${PREFIX}${digest}`.padEnd(512, "a5")],
    [
      "with garbage inside its sequence",
      () => padded(`3041300d060960864801650304020105000420${digest}${"00".repeat(16)}`),
    ],
    ["padded with zeroes", () => padded(PREFIX + digest, "00")],
    ["padded with fe", () => padded(PREFIX + digest, "fe")],
    ["padded for encryption", () => padded(PREFIX + digest, "ff", "0002")],
    ["padded as block type 0", () => padded(PREFIX + digest, "ff", "0000")],
    ["that does not begin with zero", () => padded(PREFIX + digest, "ff", "0101")],
    ["without the zero after its padding", () => padded(PREFIX + digest, "ff", "0001", "ff")],
    ["with one wrong byte in the middle of its padding", () => padded(PREFIX + digest).replace(/^(.{200})ff/, "$1fe")],
    ["of another digest", () => padded(PREFIX + digest.split("").toReversed().join(""))],
    ["of zero", () => "0".repeat(512)],
    ["of one", () => "1".padStart(512, "0")],
  ])("%s is refused", async (_, message) => {
    expect(message().length).toBe(MODULUS_BYTES * 2);
    expect(await isAccepted(tokenOf(signature(message())), rsa.key)).toBe(false);
  });
});

describe("a signature", () => {
  test("in another length, or beyond the modulus, is refused", async () => {
    const good = signature(padded(PREFIX + digest));
    const variants = [
      new Uint8Array([0, ...good]),
      new Uint8Array([...good, 0]),
      good.slice(1),
      good.slice(0, -1),
      new Uint8Array(MODULUS_BYTES),
      new Uint8Array(MODULUS_BYTES).fill(255),
      toBytes(rsa.n, MODULUS_BYTES),
      toBytes(rsa.n - 1n, MODULUS_BYTES),
      toBytes(rsa.n - toBigInt(good), MODULUS_BYTES),
      toBytes(toBigInt(good) + rsa.n, MODULUS_BYTES + 1),
      new Uint8Array([1]),
      new Uint8Array(100_000),
    ];
    for (const variant of variants) expect(await isAccepted(tokenOf(variant), rsa.key)).toBe(false);
  });

  test("with any single bit changed is refused", async () => {
    const good = signature(padded(PREFIX + digest));
    for (let bit = 0; bit < MODULUS_BYTES * 8; bit++) {
      const changed = good.slice();
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(await isAccepted(tokenOf(changed), rsa.key)).toBe(false);
    }
  });

  test("that is a cube root, under a key with exponent 3, is refused (Bleichenbacher 2006)", async () => {
    const key = await importPublic(toBase64Url(toBytes(rsa.n, MODULUS_BYTES)), "Aw").catch(() => null);
    // Refusing the exponent is as good.
    if (key === null) return;
    const target = BigInt(`0x${`0001${"ff".repeat(8)}00${PREFIX}${digest}`.padEnd(512, "f")}`);
    let low = 0n;
    let high = 1n << 690n;
    while (low < high) {
      const middle = (low + high + 1n) >> 1n;
      if (middle ** 3n <= target) low = middle;
      else high = middle - 1n;
    }
    const forged = toBytes(low ** 3n, MODULUS_BYTES).toHex();
    expect(forged.startsWith(`0001${"ff".repeat(8)}00${PREFIX}${digest}`)).toBe(true);
    expect(await isAccepted(tokenOf(toBytes(low, MODULUS_BYTES)), key)).toBe(false);
  });

  test("by PSS, or over another hash, is refused under RS256", async () => {
    for (const [name, hash] of [
      ["RSA-PSS", "SHA-256"],
      ["RSASSA-PKCS1-v1_5", "SHA-1"],
      ["RSASSA-PKCS1-v1_5", "SHA-384"],
      ["RSASSA-PKCS1-v1_5", "SHA-512"],
    ] as const) {
      const algorithm = { name, hash, modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]) };
      const pair = (await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"])) as CryptoKeyPair;
      const { n = "" } = (await crypto.subtle.exportKey("jwk", pair.publicKey)) as JsonWebKey;
      const bytes = await crypto.subtle.sign({ name, saltLength: 32 }, pair.privateKey, utf8(SIGNED));
      expect(await isAccepted(tokenOf(new Uint8Array(bytes)), await importPublic(n, "AQAB"))).toBe(false);
    }
  });
});

describe("a token", () => {
  test("with a segment missing, empty, repeated or too many is refused", async () => {
    const good = tokenOf(signature(padded(PREFIX + digest)));
    const [header = "", payload = "", third = ""] = good.split(".");
    for (const token of [
      "",
      ".",
      "..",
      "...",
      header,
      payload,
      third,
      `${header}.${payload}`,
      `${header}.${payload}.`,
      `${header}..${third}`,
      `.${payload}.${third}`,
      `.${payload}.`,
      `${header}.${third}`,
      `${good}.`,
      `.${good}`,
      `${good}.foo`,
      `${good}.${third}`,
      JSON.stringify({ payload, signatures: [{ protected: header, signature: third }] }),
      JSON.stringify({ payload, protected: header, signature: third }),
    ]) {
      expect(await isAccepted(token, rsa.key)).toBe(false);
    }
    expect(await isAccepted(good, rsa.key)).toBe(true);
  });

  test("with a character that is not of base64url, or spare bits, anywhere is refused", async () => {
    const good = tokenOf(signature(padded(PREFIX + digest)));
    for (let at = 0; at <= good.length; at += 3) {
      for (const extra of ["=", " ", "\n", "\r", "\t", "\u0000", "+", "/", "!", "é", "%", "\u200b"]) {
        expect(parseJws(good.slice(0, at) + extra + good.slice(at))).toBeNull();
      }
    }
  });
});
