// Vectors made by Werkzeug, Django, bcrypt and argon2-cffi themselves (scripts/make-hash-vectors.py), verified in workerd.
import { scrypt } from "node:crypto";
import wasm from "@phi-ag/argon2/argon2.wasm";
import { afterEach, describe, it, vi } from "vitest";
import { createArgon2 } from "../../src/accounts/argon2.ts";
import { classify, HASH_LIMITS, NATIVE_PBKDF2_MAX_ITERATIONS } from "../../src/accounts/hash-format.ts";
import { createImportedHashes } from "../../src/accounts/imported-hash.ts";
import { derivePbkdf2 } from "../../src/accounts/pbkdf2.ts";
import { utf8 } from "../../src/kit/encoding.ts";
import vectors from "../vectors/password-hashes.json";

const argon2 = createArgon2(wasm);
let pauses = 0;

const hashes = createImportedHashes({
  scrypt: (password, salt, keyBytes, parameters) =>
    new Promise((resolve, reject) => {
      scrypt(password, salt, keyBytes, parameters, (error, key) => (error === null ? resolve(key) : reject(error)));
    }),
  argon2: { verify: (phc, password) => argon2.verify(phc, utf8(password.normalize("NFC"))) },
  pause: async () => {
    pauses++;
    await scheduler.wait(0);
  },
});

/** The part of a hash that says how it was made. */
const formOf = (hash: string): string => (/^(?:\$?[^$]*\$){1,4}/.exec(hash)?.[0] ?? hash).slice(0, 40);

afterEach(() => {
  vi.restoreAllMocks();
});

describe("hashes made by other libraries", () => {
  for (const [index, { library, version, password, hash, good }] of vectors.entries()) {
    it(`${good ? "accepts the password" : "refuses another password"} of vector ${index}: ${library} ${version} ${formOf(hash)}`, async ({
      expect,
    }) => {
      expect(await hashes.verify(hash, password)).toBe(good);
    });
  }

  it("covers every family with a right and a wrong password", ({ expect }) => {
    const kinds = vectors.map(({ hash, good }) => {
      const format = classify(hash);
      return `${typeof format === "string" ? format : format.kind} ${good}`;
    });
    expect([...new Set(kinds)].sort()).toEqual(
      ["argon2", "bcrypt", "pbkdf2", "scrypt"].flatMap((kind) => [`${kind} false`, `${kind} true`]),
    );
  });

  it("accepts a password typed in another Unicode form than the one that was hashed", async ({ expect }) => {
    for (const { hash, password, good } of vectors) {
      const decomposed = password.normalize("NFD");
      if (!good || decomposed === password || /1[05]00000|102400|65536/.test(hash)) continue;
      expect(await hashes.verify(hash, decomposed), hash).toBe(true);
    }
  });

  it("refuses what it cannot take apart", async ({ expect }) => {
    expect(await hashes.verify("md5$salt$5f4dcc3b5aa765d61d8327deb882cf99", "password")).toBe(false);
    expect(await hashes.verify("", "")).toBe(false);
  });
});

describe("PBKDF2", () => {
  const never = async (): Promise<void> => {
    throw new Error("must not pause");
  };

  it("is never asked of the platform above the 100,000 iterations that production allows", async ({ expect }) => {
    const asked: number[] = [];
    const deriveBits = crypto.subtle.deriveBits.bind(crypto.subtle);
    vi.spyOn(crypto.subtle, "deriveBits").mockImplementation((algorithm, key, length) => {
      if (typeof algorithm === "object") asked.push(algorithm.iterations ?? 0);
      return deriveBits(algorithm, key, length);
    });
    const sample = vectors.filter(({ hash }) => hash.startsWith("pbkdf2") && !/1[05]00000/.test(hash));
    for (const { hash, password, good } of sample) expect(await hashes.verify(hash, password)).toBe(good);
    expect(sample.some(({ hash }) => hash.includes("100001"))).toBe(true);
    expect(Math.max(...asked)).toBe(NATIVE_PBKDF2_MAX_ITERATIONS);
  });

  it("comes out the same from the platform and from the iteration of our own, for every length of password", async ({
    expect,
  }) => {
    for (const bytes of [0, 1, 55, 56, 63, 64, 65, 1024]) {
      const password = new Uint8Array(bytes).fill(0xe1);
      const salt = utf8(`salt ${bytes}`);
      // Local workerd has no limit, so it can be asked for what production would refuse.
      const key = await crypto.subtle.importKey("raw", password, "PBKDF2", false, ["deriveBits"]);
      const algorithm = { name: "PBKDF2", hash: "SHA-256", salt, iterations: 100_003 };
      const expected = new Uint8Array(await crypto.subtle.deriveBits(algorithm, key, 256));
      const parameters = { digest: "SHA-256", iterations: 100_003, keyBytes: 32 } as const;
      expect(await derivePbkdf2(password, salt, parameters, async () => {})).toEqual(expected);
    }
  });

  it("lets other requests run in between when it is long, and takes no pause when it is short", async ({ expect }) => {
    pauses = 0;
    const long = vectors.find(({ hash }) => hash.startsWith("pbkdf2_sha256$120000$"));
    expect(await hashes.verify(long?.hash ?? "", long?.password ?? "")).toBe(true);
    expect(pauses).toBe(2);
    const parameters = { digest: "SHA-1", iterations: NATIVE_PBKDF2_MAX_ITERATIONS, keyBytes: 20 } as const;
    expect(await derivePbkdf2(utf8("password"), utf8("salt"), parameters, never)).toHaveLength(20);
  });

  it("is independent of what else is being derived between its slices", async ({ expect }) => {
    const some = vectors.filter(({ hash }) => hash.includes("100001") || hash.includes("120000"));
    const verified = await Promise.all(some.map(({ hash, password }) => hashes.verify(hash, password)));
    expect(verified).toEqual(some.map(({ good }) => good));
  });

  it("throws above 100,000 iterations of another digest than SHA-256, which no import lets through", ({ expect }) => {
    const parameters = { digest: "SHA-512", iterations: 100_001, keyBytes: 64 } as const;
    expect(() => derivePbkdf2(utf8("password"), utf8("salt"), parameters, never)).toThrow("SHA-512 stops at 100000");
  });
});

describe("what may be imported", () => {
  const KEY = { sha1: "ab".repeat(20), sha256: "ab".repeat(32), sha512: "ab".repeat(64) };
  const SALT = "c2FsdHNhbHRzYWx0";
  const TAG = "A".repeat(43);
  const argon2 = (m: number, t: number, p: number): string => `$argon2id$v=19$m=${m},t=${t},p=${p}$${SALT}$${TAG}`;
  const bcryptOf = (cost: string, version = "2b"): string => `$${version}$${cost}$${"A".repeat(53)}`;

  it("takes every cost up to its bound", ({ expect }) => {
    const atBound = [
      argon2(HASH_LIMITS.argon2MemoryKib, 10, HASH_LIMITS.argon2Lanes),
      bcryptOf("14"),
      bcryptOf("04", "2y"),
      `bcrypt_sha256$${bcryptOf("12")}`,
      `scrypt:131072:4:2$salt$${KEY.sha512}`,
      `scrypt:32768:8:4$salt$${KEY.sha512}`,
      `pbkdf2:sha256:2000000$salt$${KEY.sha256}`,
      `pbkdf2:sha1:100000$salt$${KEY.sha1}`,
      `pbkdf2:sha512:100000$salt$${KEY.sha512}`,
    ];
    for (const hash of atBound) expect(typeof classify(hash), hash).toBe("object");
  });

  it.for([
    ["Argon2 memory", argon2(102_401, 1, 1), "needs more than 102400 KiB of memory"],
    ["Argon2 passes", argon2(65_536, 17, 1), "has too many Argon2 passes"],
    ["Argon2 lanes", argon2(65_536, 1, 17), "has more than 16 Argon2 lanes"],
    ["Argon2 memory per lane", argon2(16, 1, 4), "has less memory than Argon2 needs for its lanes"],
    ["Argon2d", argon2(1024, 1, 1).replace("argon2id", "argon2d"), "is not a PHC string of Argon2id or Argon2i"],
    ["Argon2 version 1.0", argon2(1024, 1, 1).replace("v=19", "v=16"), "is not a PHC string of Argon2id or Argon2i"],
    ["an Argon2 tag of a few bytes", argon2(1024, 1, 1).slice(0, -30), "is not a PHC string of Argon2id or Argon2i"],
    [
      "an Argon2 salt that is not base64",
      argon2(1024, 1, 1).replace(SALT, `${SALT}A`),
      "has a salt or tag that is not base64",
    ],
    ["a bcrypt cost", bcryptOf("15"), "has a bcrypt cost outside 4 to 14"],
    ["a bcrypt cost below what bcrypt has", bcryptOf("03"), "has a bcrypt cost outside 4 to 14"],
    ["the flawed bcrypt of old PHP", bcryptOf("10", "2x"), "is not a bcrypt hash of version 2a, 2b or 2y"],
    ["a cut bcrypt hash", bcryptOf("10").slice(0, -1), "is not a bcrypt hash of version 2a, 2b or 2y"],
    ["scrypt work", `scrypt:65536:8:3$salt$${KEY.sha512}`, "has scrypt parameters with N·r·p above 2^20"],
    ["scrypt memory", `scrypt:131072:8:1$salt$${KEY.sha512}`, "has scrypt parameters that need more than 64 MiB"],
    [
      "an scrypt N that is no power of two",
      `scrypt:32769:8:1$salt$${KEY.sha512}`,
      "has an scrypt N that RFC 7914 does not allow",
    ],
    ["an scrypt N of 1", `scrypt:1:8:1$salt$${KEY.sha512}`, "has an scrypt N that RFC 7914 does not allow"],
    [
      "an scrypt N too large for its r",
      `scrypt:65536:1:1$salt$${KEY.sha512}`,
      "has an scrypt N that RFC 7914 does not allow",
    ],
    ["a short scrypt key", `scrypt:1024:8:1$salt$${KEY.sha1}`, "has an scrypt key that is not 64 bytes"],
    [
      "PBKDF2-SHA-256 iterations",
      `pbkdf2:sha256:2000001$salt$${KEY.sha256}`,
      "has more than 2000000 iterations of PBKDF2 with SHA-256",
    ],
    [
      "PBKDF2-SHA-512 iterations",
      `pbkdf2:sha512:100001$salt$${KEY.sha512}`,
      "has more than 100000 iterations of PBKDF2 with SHA-512",
    ],
    [
      "PBKDF2-SHA-1 iterations",
      `pbkdf2_sha1$100001$salt$${"A".repeat(27)}=`,
      "has more than 100000 iterations of PBKDF2 with SHA-1",
    ],
    [
      "a PBKDF2 key of another digest",
      `pbkdf2:sha256:1000$salt$${KEY.sha512}`,
      "has a PBKDF2 key that is not 32 bytes",
    ],
    [
      "base64 without its padding",
      `pbkdf2_sha256$1000$salt$${"A".repeat(43)}`,
      "has a PBKDF2 key that is not 32 bytes",
    ],
    ["no iterations at all", `pbkdf2_sha256$0$salt$${"A".repeat(43)}=`, "is in no format that can be verified"],
    ["an unsalted digest", "5f4dcc3b5aa765d61d8327deb882cf99", "is in no format that can be verified"],
    ["a password in plain text", "correct horse battery staple", "is in no format that can be verified"],
    ["Django's mark for no password", "!Xk3nP0SZ4dd", "is in no format that can be verified"],
  ] as const)("refuses %s with a reason", ([, hash, reason], { expect }) => {
    expect(classify(hash)).toContain(reason);
  });

  it("never repeats any of the hash in a fault", ({ expect }) => {
    expect(classify("hunter2-hunter2")).not.toContain("hunter2");
  });
});
