/**
 * Verifies password hashes that other systems made: bcrypt, scrypt and PBKDF2 as Werkzeug and Django write them, Argon2.
 * A user's first login with one goes through here; its success is the moment to replace the hash by our own.
 * Not here: making hashes (password-hash.ts), and what may be imported (hash-format.ts).
 */
import { toHex, utf8 } from "../kit/encoding.ts";
import { sha256 } from "../kit/secrets.ts";
import { verifyBcrypt } from "./bcrypt.ts";
import { classify, type DerivedKey, type HashFormat } from "./hash-format.ts";
import { derivePbkdf2 } from "./pbkdf2.ts";

/** Cost of scrypt (RFC 7914), and the memory it may take: the default of node:crypto is too small for Werkzeug. */
export interface ScryptParameters {
  readonly N: number;
  readonly r: number;
  readonly p: number;
  readonly maxmem: number;
}

/** What verification needs and may not fetch by itself. */
export interface HashEngines {
  /** `scrypt` of node:crypto, as a promise. */
  scrypt(
    password: Uint8Array<ArrayBuffer>,
    salt: Uint8Array<ArrayBuffer>,
    keyBytes: number,
    parameters: ScryptParameters,
  ): Promise<Uint8Array>;
  /** Verifies PHC strings; NFC-normalises the password. */
  readonly argon2: { verify(phc: string, password: string): boolean };
  /** Lets other requests run: a timer of 0 ms. */
  pause(): Promise<void>;
}

export interface ImportedHashes {
  /**
   * Whether `password`, as it was typed or in NFC, is the one in `hash`. False for a hash that cannot be verified. Of a
   * password over 72 bytes bcrypt knows the first 72, as it did where the hash was made.
   */
  verify(hash: string, password: string): Promise<boolean>;
}

function decode({ encoding, text }: DerivedKey): Uint8Array<ArrayBuffer> {
  return encoding === "hex" ? Uint8Array.fromHex(text) : Uint8Array.fromBase64(text);
}

/** What N, r and p need by the count of OpenSSL, with two blocks to spare. */
function scryptMemoryBytes(N: number, r: number, p: number): number {
  return 128 * r * (N + p + 4);
}

export function createImportedHashes(engines: HashEngines): ImportedHashes {
  const matches = async (format: Exclude<HashFormat, { kind: "argon2" }>, password: string): Promise<boolean> => {
    switch (format.kind) {
      case "bcrypt":
        return verifyBcrypt(format.hash, format.prehashed ? toHex(await sha256(utf8(password))) : password, () =>
          engines.pause(),
        );
      case "scrypt": {
        const { cost: N, blockSize: r, parallelism: p, salt, key } = format;
        const maxmem = scryptMemoryBytes(N, r, p);
        const derived = await engines.scrypt(utf8(password), utf8(salt), key.bytes, { N, r, p, maxmem });
        return crypto.subtle.timingSafeEqual(derived, decode(key));
      }
      case "pbkdf2": {
        const { digest, iterations, salt, key } = format;
        const parameters = { digest, iterations, keyBytes: key.bytes };
        const derived = await derivePbkdf2(utf8(password), utf8(salt), parameters, () => engines.pause());
        return crypto.subtle.timingSafeEqual(derived, decode(key));
      }
    }
  };

  return {
    async verify(hash, password) {
      const format = classify(hash);
      if (typeof format === "string") return false;
      if (format.kind === "argon2") return engines.argon2.verify(format.phc, password);
      // Other systems hashed what arrived; we cannot know in which of its spellings.
      for (const spelling of new Set([password, password.normalize("NFC")])) {
        if (await matches(format, spelling)) return true;
      }
      return false;
    },
  };
}
