/**
 * Verifies bcrypt hashes (Provos and Mazières, "A Future-Adaptable Password Scheme", 1999), so that users of another
 * system can log in once with the hash they had. Verifies only; nothing new is ever hashed with it.
 *
 * Its own file rather than a library because of size: Blowfish starts from 33,344 bits of π, which a library carries
 * along, a seventh of the whole bundle, and which are computed here when the first bcrypt hash shows up.
 */
import { utf8 } from "../kit/encoding.ts";

const ROUNDS = 16;
const P_WORDS = ROUNDS + 2;
const S_WORDS = 4 * 256;
/** bcrypt knows no more of a password, its final zero byte included. */
const KEY_MAX_BYTES = 72;
const SALT_BYTES = 16;
const DIGEST_BYTES = 23;
const MAGIC = "OrpheanBeholderScryDoubt";
const ALPHABET = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
/** A sixteenth of a hash of cost 12 between two pauses: other requests of the isolate get their turn. */
const ROUNDS_PER_SLICE = 256;

/** The first `count` 32-bit words of the fraction of π, by Machin's formula: π/4 = 4 arctan 1/5 - arctan 1/239. */
function piFraction(count: number): Int32Array {
  const guardBits = 64n;
  const one = 1n << (BigInt(count * 32) + guardBits);
  const arctanOfInverse = (x: bigint): bigint => {
    let sum = 0n;
    let power = one / x;
    for (let k = 1n; power !== 0n; k += 2n, power /= x * x) sum += (k & 2n) === 0n ? power / k : -(power / k);
    return sum;
  };
  let fraction = ((16n * arctanOfInverse(5n) - 4n * arctanOfInverse(239n)) & (one - 1n)) >> guardBits;
  const words = new Int32Array(count);
  for (let at = count - 1; at >= 0; at--) {
    words[at] = Number(BigInt.asIntN(32, fraction));
    fraction >>= 32n;
  }
  return words;
}

let initialState: Int32Array | undefined;

/** P-array and S-boxes in one array, at the state every key schedule starts from. */
function freshState(): Int32Array {
  initialState ??= piFraction(P_WORDS + S_WORDS);
  return initialState.slice();
}

/** Encrypts the two words at `at` of `block` in place. The indices below are in range by construction. */
function encrypt(state: Int32Array, block: Int32Array, at: number): void {
  const word = (index: number): number => state[index] as number;
  let left = (block[at] as number) ^ word(0);
  let right = block[at + 1] as number;
  for (let round = 1; round <= ROUNDS; round++) {
    const mixed =
      ((word(P_WORDS + (left >>> 24)) + word(P_WORDS + 256 + ((left >>> 16) & 0xff))) ^
        word(P_WORDS + 512 + ((left >>> 8) & 0xff))) +
      word(P_WORDS + 768 + (left & 0xff));
    const next = right ^ mixed ^ word(round);
    right = left;
    left = next;
  }
  block[at] = right ^ word(P_WORDS - 1);
  block[at + 1] = left;
}

/** `count` big-endian words of `bytes`, read round and round. */
function cyclicWords(bytes: Uint8Array, count: number): Int32Array {
  const words = new Int32Array(count);
  for (let at = 0; at < count * 4; at++) {
    words[at >> 2] = ((words[at >> 2] as number) << 8) | (bytes[at % bytes.length] as number);
  }
  return words;
}

/** Mixes `key` into the state, and `salt` into what is encrypted meanwhile; both as words, the salt's cyclic. */
function expand(state: Int32Array, key: Int32Array, salt: Int32Array): void {
  for (let at = 0; at < P_WORDS; at++) state[at] = (state[at] as number) ^ (key[at] as number);
  const block = new Int32Array(2);
  for (let at = 0; at < state.length; at += 2) {
    block[0] = (block[0] as number) ^ (salt[at % salt.length] as number);
    block[1] = (block[1] as number) ^ (salt[(at + 1) % salt.length] as number);
    encrypt(state, block, 0);
    state.set(block, at);
  }
}

/** bcrypt's own base64: its alphabet, no padding. */
function decode(text: string, length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  let bits = 0;
  for (let at = 0, held = 0, out = 0; at < text.length && out < length; at++) {
    bits = (bits << 6) | ALPHABET.indexOf(text.charAt(at));
    held += 6;
    if (held < 8) continue;
    held -= 8;
    bytes[out++] = bits >> held;
  }
  return bytes;
}

/**
 * Whether `password` is the one in `hash`. The hash has been checked to be bcrypt of an acceptable cost (hash-format.ts).
 * @param pause lets other requests run
 */
export async function verifyBcrypt(hash: string, password: string, pause: () => Promise<void>): Promise<boolean> {
  const [, , cost = "", encoded = ""] = hash.split("$");
  const expected = decode(encoded.slice(22), DIGEST_BYTES);
  const salt = cyclicWords(decode(encoded.slice(0, 22), SALT_BYTES), SALT_BYTES / 4);
  const saltAsKey = cyclicWords(decode(encoded.slice(0, 22), SALT_BYTES), P_WORDS);
  const key = cyclicWords(utf8(`${password}\0`).subarray(0, KEY_MAX_BYTES), P_WORDS);
  const noSalt = new Int32Array(2);

  const state = freshState();
  expand(state, key, salt);
  const rounds = 2 ** Number(cost);
  for (let round = 1; round <= rounds; round++) {
    expand(state, key, noSalt);
    expand(state, saltAsKey, noSalt);
    if (round % ROUNDS_PER_SLICE === 0) await pause();
  }

  const text = cyclicWords(utf8(MAGIC), MAGIC.length / 4);
  for (let at = 0; at < text.length; at += 2) for (let times = 0; times < 64; times++) encrypt(state, text, at);
  const digest = new DataView(new ArrayBuffer(MAGIC.length));
  for (const [at, word] of text.entries()) digest.setInt32(at * 4, word);
  return crypto.subtle.timingSafeEqual(new Uint8Array(digest.buffer, 0, DIGEST_BYTES), expected);
}
