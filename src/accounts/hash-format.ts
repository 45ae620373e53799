/**
 * Password hashes as other systems store them: recognised, taken apart, and refused when verifying one would cost too
 * much. Whatever passes here can be verified in production, so a bad hash fails at import and never at a login.
 * Not here: the verification itself (imported-hash.ts), so that tools outside the Worker can read this file too.
 */

export type Digest = "SHA-1" | "SHA-256" | "SHA-512";

/** Expected output of a derivation, in the text encoding of the system it came from. */
export interface DerivedKey {
  readonly encoding: "hex" | "base64";
  readonly text: string;
  readonly bytes: number;
}

export type HashFormat =
  | { readonly kind: "argon2"; readonly phc: string; readonly memoryKib: number }
  | {
      readonly kind: "bcrypt";
      /** The 60 characters from `$2a$`, `$2b$` or `$2y$` on. */
      readonly hash: string;
      /** Django's `bcrypt_sha256`: what bcrypt was given is the hex SHA-256 of the password. */
      readonly prehashed: boolean;
    }
  | {
      readonly kind: "scrypt";
      readonly cost: number;
      readonly blockSize: number;
      readonly parallelism: number;
      readonly salt: string;
      readonly key: DerivedKey;
    }
  | {
      readonly kind: "pbkdf2";
      readonly digest: Digest;
      readonly iterations: number;
      readonly salt: string;
      readonly key: DerivedKey;
    };

/** WebCrypto in production Workers throws above this; local workerd does not. */
export const NATIVE_PBKDF2_MAX_ITERATIONS = 100_000;

/**
 * The most that verifying one hash may cost. docs/security/passwords.md has the milliseconds: about 1.6 s at worst.
 * Argon2 memory stays with the isolate, which has 128 MB; 102,400 KiB is Django's own setting. scrypt: the runtime allows
 * N·r·p up to 2^20.
 */
export const HASH_LIMITS = {
  argon2MemoryKib: 102_400,
  argon2MemoryKibTimesPasses: 1_048_576,
  argon2Lanes: 16,
  bcryptCost: 14,
  scryptWork: 2 ** 20,
  scryptMemoryBytes: 64 * 1024 * 1024,
  pbkdf2Sha256Iterations: 2_000_000,
} as const;

const ARGON2_KIB_PER_LANE_MIN = 8;
const DIGEST_BYTES = { "SHA-1": 20, "SHA-256": 32, "SHA-512": 64 } as const;
const SCRYPT_KEY_BYTES = 64;

const COUNT = "([1-9][0-9]{0,9})";
const SALT = "([^$]{1,128})";
const BASE64 = "([A-Za-z0-9+/]+={0,2})";
const UNPADDED = "[A-Za-z0-9+/]";
const HEX = "([0-9a-f]+)";

const DIGESTS = { sha1: "SHA-1", sha256: "SHA-256", sha512: "SHA-512" } as const satisfies Record<string, Digest>;
type DigestName = keyof typeof DIGESTS;

/** A pattern whose groups, named by `T`, all take part in every match. */
type Pattern<T extends readonly string[]> = RegExp & { readonly groups?: T };

// Salt of 8 to 64 bytes, tag of 16 to 64: a shorter tag would let almost any password in.
const ARGON2: Pattern<[memory: string, passes: string, lanes: string, salt: string, tag: string]> = new RegExp(
  `^\\$argon2(?:id|i)\\$v=19\\$m=${COUNT},t=${COUNT},p=${COUNT}\\$(${UNPADDED}{11,86})\\$(${UNPADDED}{22,86})$`,
);
const BCRYPT: Pattern<[cost: string]> = /^\$2[aby]\$([0-3][0-9])\$[./A-Za-z0-9]{53}$/;
const WERKZEUG_SCRYPT: Pattern<[N: string, r: string, p: string, salt: string, key: string]> = new RegExp(
  `^scrypt:${COUNT}:${COUNT}:${COUNT}\\$${SALT}\\$${HEX}$`,
);
const WERKZEUG_PBKDF2: Pattern<[digest: DigestName, iterations: string, salt: string, key: string]> = new RegExp(
  `^pbkdf2:(sha1|sha256|sha512):${COUNT}\\$${SALT}\\$${HEX}$`,
);
const DJANGO_SCRYPT: Pattern<[N: string, salt: string, r: string, p: string, key: string]> = new RegExp(
  `^scrypt\\$${COUNT}\\$${SALT}\\$${COUNT}\\$${COUNT}\\$${BASE64}$`,
);
const DJANGO_PBKDF2: Pattern<[digest: DigestName, iterations: string, salt: string, key: string]> = new RegExp(
  `^pbkdf2_(sha1|sha256)\\$${COUNT}\\$${SALT}\\$${BASE64}$`,
);

function groups<T extends readonly string[]>(pattern: Pattern<T>, text: string): T | null {
  return (pattern.exec(text)?.slice(1) ?? null) as T | null;
}

const UNKNOWN =
  "is in no format that can be verified: Argon2 (PHC), bcrypt, Werkzeug scrypt: and pbkdf2:, Django pbkdf2_sha256, pbkdf2_sha1, scrypt, argon2, bcrypt and bcrypt_sha256 can";

/** base64 of n bytes without padding never leaves a remainder of one character. */
function isUnpaddedBase64(text: string): boolean {
  return text.length % 4 !== 1;
}

function argon2(phc: string): HashFormat | string {
  const match = groups(ARGON2, phc);
  if (match === null) return "is not a PHC string of Argon2id or Argon2i, version 1.3 (v=19)";
  const [memory, passes, lanes, salt, tag] = match;
  const memoryKib = Number(memory);
  if (!isUnpaddedBase64(salt) || !isUnpaddedBase64(tag)) return "has a salt or tag that is not base64";
  if (memoryKib > HASH_LIMITS.argon2MemoryKib) return `needs more than ${HASH_LIMITS.argon2MemoryKib} KiB of memory`;
  if (memoryKib * Number(passes) > HASH_LIMITS.argon2MemoryKibTimesPasses) return "has too many Argon2 passes";
  if (Number(lanes) > HASH_LIMITS.argon2Lanes) return `has more than ${HASH_LIMITS.argon2Lanes} Argon2 lanes`;
  if (memoryKib < Number(lanes) * ARGON2_KIB_PER_LANE_MIN) return "has less memory than Argon2 needs for its lanes";
  return { kind: "argon2", phc, memoryKib };
}

function bcrypt(hash: string, prehashed: boolean): HashFormat | string {
  const match = groups(BCRYPT, hash);
  if (match === null) return "is not a bcrypt hash of version 2a, 2b or 2y";
  const cost = Number(match[0]);
  if (cost < 4 || cost > HASH_LIMITS.bcryptCost) return `has a bcrypt cost outside 4 to ${HASH_LIMITS.bcryptCost}`;
  return { kind: "bcrypt", hash, prehashed };
}

function derivedKey(encoding: DerivedKey["encoding"], text: string, bytes: number): DerivedKey | null {
  const length = encoding === "hex" ? bytes * 2 : Math.ceil(bytes / 3) * 4;
  const padding = encoding === "hex" ? 0 : (3 - (bytes % 3)) % 3;
  const unpadded = text.replace(/=+$/, "");
  return text.length === length && unpadded.length === length - padding ? { encoding, text, bytes } : null;
}

interface ScryptParts {
  readonly cost: number;
  readonly blockSize: number;
  readonly parallelism: number;
  readonly salt: string;
}

function scrypt(parts: ScryptParts, encoding: DerivedKey["encoding"], text: string): HashFormat | string {
  const { cost, blockSize, parallelism } = parts;
  const key = derivedKey(encoding, text, SCRYPT_KEY_BYTES);
  if (key === null) return `has an scrypt key that is not ${SCRYPT_KEY_BYTES} bytes`;
  // RFC 7914 section 2: N is a power of two above 1 and below 2^(128·r/8).
  const powerOfTwo = 2 ** Math.round(Math.log2(cost)) === cost;
  if (!powerOfTwo || cost < 2 || cost >= 2 ** (16 * blockSize)) return "has an scrypt N that RFC 7914 does not allow";
  if (cost * blockSize * parallelism > HASH_LIMITS.scryptWork) return "has scrypt parameters with N·r·p above 2^20";
  if (128 * cost * blockSize > HASH_LIMITS.scryptMemoryBytes) return "has scrypt parameters that need more than 64 MiB";
  return { kind: "scrypt", ...parts, key };
}

interface Pbkdf2Parts {
  readonly digest: Digest;
  readonly iterations: number;
  readonly salt: string;
}

function pbkdf2(parts: Pbkdf2Parts, encoding: DerivedKey["encoding"], text: string): HashFormat | string {
  const { digest, iterations } = parts;
  const key = derivedKey(encoding, text, DIGEST_BYTES[digest]);
  if (key === null) return `has a PBKDF2 key that is not ${DIGEST_BYTES[digest]} bytes`;
  const most = digest === "SHA-256" ? HASH_LIMITS.pbkdf2Sha256Iterations : NATIVE_PBKDF2_MAX_ITERATIONS;
  if (iterations > most) return `has more than ${most} iterations of PBKDF2 with ${digest}`;
  return { kind: "pbkdf2", ...parts, key };
}

/**
 * Takes a stored hash apart.
 * @returns what it is, or a fault that completes "the hash …". A fault never contains any of the hash.
 */
export function classify(hash: string): HashFormat | string {
  if (hash.startsWith("$argon2")) return argon2(hash);
  if (hash.startsWith("argon2$")) return argon2(hash.slice("argon2".length));
  if (hash.startsWith("$2")) return bcrypt(hash, false);
  if (hash.startsWith("bcrypt$")) return bcrypt(hash.slice("bcrypt$".length), false);
  if (hash.startsWith("bcrypt_sha256$")) return bcrypt(hash.slice("bcrypt_sha256$".length), true);

  const werkzeugScrypt = groups(WERKZEUG_SCRYPT, hash);
  if (werkzeugScrypt !== null) {
    const [N, r, p, salt, key] = werkzeugScrypt;
    return scrypt({ cost: Number(N), blockSize: Number(r), parallelism: Number(p), salt }, "hex", key);
  }
  const djangoScrypt = groups(DJANGO_SCRYPT, hash);
  if (djangoScrypt !== null) {
    const [N, salt, r, p, key] = djangoScrypt;
    return scrypt({ cost: Number(N), blockSize: Number(r), parallelism: Number(p), salt }, "base64", key);
  }
  const werkzeugPbkdf2 = groups(WERKZEUG_PBKDF2, hash);
  if (werkzeugPbkdf2 !== null) {
    const [digest, iterations, salt, key] = werkzeugPbkdf2;
    return pbkdf2({ digest: DIGESTS[digest], iterations: Number(iterations), salt }, "hex", key);
  }
  const djangoPbkdf2 = groups(DJANGO_PBKDF2, hash);
  if (djangoPbkdf2 !== null) {
    const [digest, iterations, salt, key] = djangoPbkdf2;
    return pbkdf2({ digest: DIGESTS[digest], iterations: Number(iterations), salt }, "base64", key);
  }
  return UNKNOWN;
}
