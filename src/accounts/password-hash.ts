/**
 * Argon2id at the OWASP setting, as PHC strings. Runs as statically imported WASM, since Workers may not compile any at
 * run time. Hashing is synchronous and holds the isolate for some 30 ms: callers limit attempts first.
 */
import Argon2, { Argon2Type } from "@phi-ag/argon2";
import wasm from "@phi-ag/argon2/argon2.wasm";
import type { Runtime } from "../kit/runtime.ts";

const MEMORY_KIB = 19_456;
const PASSES = 2;
const LANES = 1;
const SALT_BYTES = 16;
const HASH_BYTES = 32;

/** The start of every hash made with today's parameters. A stored hash that starts otherwise is made anew at login. */
const CURRENT_PREFIX = `$argon2id$v=19$m=${MEMORY_KIB},t=${PASSES},p=${LANES}$`;

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
  return !phc.startsWith(CURRENT_PREFIX);
}

export function createPasswordHasher(runtime: Runtime): PasswordHasher {
  let argon2: Argon2 | undefined;
  let decoy: string | undefined;
  const instance = (): Argon2 => (argon2 ??= new Argon2(new WebAssembly.Instance(wasm)));

  const hash = (password: string): string =>
    instance().hash(password.normalize("NFC"), {
      memoryCost: MEMORY_KIB,
      timeCost: PASSES,
      parallelism: LANES,
      type: Argon2Type.Argon2id,
      hashLength: HASH_BYTES,
      salt: runtime.randomBytes(SALT_BYTES),
    }).encoded;

  const verify = (phc: string, password: string): boolean =>
    instance().tryVerify(phc, password.normalize("NFC")).success;

  return {
    hash,
    verify,
    pretend(password) {
      // Any hash with today's parameters costs the same to compare with; this one belongs to nobody.
      decoy ??= `${CURRENT_PREFIX}${"A".repeat(22)}$${"A".repeat(43)}`;
      verify(decoy, password);
    },
  };
}
