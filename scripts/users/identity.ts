/**
 * What a new user gets from this machine: an id and an Argon2id hash, both as the Worker would make them.
 */
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { ARGON2ID, ARGON2ID_SALT_BYTES, createArgon2 } from "../../src/accounts/argon2.ts";

/** A UUIDv7 (RFC 9562 section 5.7); `now` in milliseconds since 1970. Node 24 cannot run the one of the Worker. */
export function uuidV7(now: number): string {
  const random = randomBytes(10);
  random[0] = ((random[0] ?? 0) & 0x0f) | 0x70;
  random[2] = ((random[2] ?? 0) & 0x3f) | 0x80;
  const hex = now.toString(16).padStart(12, "0") + random.toString("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** The PHC string of `password`, NFC-normalised. */
export function hashPassword(password: string): string {
  const wasm = readFileSync(fileURLToPath(import.meta.resolve("@phi-ag/argon2/argon2.wasm")));
  const bytes = new TextEncoder().encode(password.normalize("NFC"));
  return createArgon2(new WebAssembly.Module(wasm)).hash(bytes, randomBytes(ARGON2ID_SALT_BYTES), ARGON2ID);
}
