/**
 * Argon2id at the OWASP setting, as PHC strings. Runs as statically imported WASM, since Workers may not compile any at
 * run time. Hashing is synchronous and holds the isolate for some 30 ms: callers limit attempts first.
 */
import wasm from "@phi-ag/argon2/argon2.wasm";
import { utf8 } from "../kit/encoding.ts";
import { count } from "../kit/meter.ts";
import type { Runtime } from "../kit/runtime.ts";
import { type Argon2, ARGON2ID, ARGON2ID_PREFIX, ARGON2ID_SALT_BYTES, createArgon2 } from "./argon2.ts";

export interface PasswordHasher {
  /** A PHC string of `password`, NFC-normalised. */
  hash(password: string): string;
  /** Whether `password` is the one hashed in `phc`. */
  verify(phc: string, password: string): boolean;
  /** Does the work of {@link verify} and comes to nothing: for names that do not exist. */
  pretend(password: string): void;
}

/** Whether `phc` was made with other parameters than today's. */
export function needsRehash(phc: string): boolean {
  return !phc.startsWith(ARGON2ID_PREFIX);
}

export function createPasswordHasher(runtime: Runtime): PasswordHasher {
  let argon2: Argon2 | undefined;
  let decoy: string | undefined;
  const instance = (): Argon2 => {
    count("hash");
    return (argon2 ??= createArgon2(wasm));
  };
  const bytesOf = (password: string): Uint8Array => utf8(password.normalize("NFC"));

  const hash = (password: string): string =>
    instance().hash(bytesOf(password), runtime.randomBytes(ARGON2ID_SALT_BYTES), ARGON2ID);

  const verify = (phc: string, password: string): boolean => instance().verify(phc, bytesOf(password));

  return {
    hash,
    verify,
    pretend(password) {
      // Any hash with today's parameters costs the same to compare with; this one belongs to nobody.
      decoy ??= `${ARGON2ID_PREFIX}${"A".repeat(22)}$${"A".repeat(43)}`;
      verify(decoy, password);
    },
  };
}
