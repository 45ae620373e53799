/**
 * PBKDF2 (RFC 8018 section 5.2) for as many iterations as the hash to be verified has. WebCrypto does up to 100,000, all
 * that production allows it; beyond that HMAC-SHA-256 is iterated here, in slices, so that other requests get their turn.
 * Only ever verifies hashes made elsewhere: nothing is hashed with PBKDF2. docs/decisions/0005-imported-pbkdf2.md says why.
 */
import { type Digest, NATIVE_PBKDF2_MAX_ITERATIONS } from "./hash-format.ts";

/** About 40 ms of work. */
const SLICE_ITERATIONS = 50_000;

const BLOCK_BYTES = 64;
const STATE_WORDS = 8;
const STATE_BITS = STATE_WORDS * 32;
const PADDING_BIT = 0x80000000;

// FIPS 180-4 section 4.2.2 and 5.3.3.
const ROUND_CONSTANTS = new Int32Array([
  0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98,
  0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
  0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8,
  0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
  0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819,
  0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
  0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
  0xc67178f2,
]);
const INITIAL_STATE = new Int32Array([
  0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
]);

/**
 * The compression function of SHA-256 (FIPS 180-4 section 6.2.2) over the block in `w[0..15]`, from `state`. The new state
 * replaces `w[0..7]`, where the next block wants it.
 */
function compress(state: Int32Array, w: Int32Array): void {
  for (let t = 16; t < 64; t++) {
    const x = w[t - 15]!;
    const y = w[t - 2]!;
    const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
    const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
    w[t] = w[t - 16]! + s0 + w[t - 7]! + s1;
  }
  let a = state[0]!;
  let b = state[1]!;
  let c = state[2]!;
  let d = state[3]!;
  let e = state[4]!;
  let f = state[5]!;
  let g = state[6]!;
  let h = state[7]!;
  for (let t = 0; t < 64; t++) {
    const sum1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
    const t1 = (h + sum1 + ((e & f) ^ (~e & g)) + ROUND_CONSTANTS[t]! + w[t]!) | 0;
    const sum0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
    const t2 = (sum0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    h = g;
    g = f;
    f = e;
    e = (d + t1) | 0;
    d = c;
    c = b;
    b = a;
    a = (t1 + t2) | 0;
  }
  w[0] = state[0]! + a;
  w[1] = state[1]! + b;
  w[2] = state[2]! + c;
  w[3] = state[3]! + d;
  w[4] = state[4]! + e;
  w[5] = state[5]! + f;
  w[6] = state[6]! + g;
  w[7] = state[7]! + h;
}

/** Pads the 32 bytes in `w[0..7]` as the second and last block of an HMAC-SHA-256 pass. */
function pad(w: Int32Array): void {
  w[8] = PADDING_BIT;
  w.fill(0, 9, 15);
  w[15] = BLOCK_BYTES * 8 + STATE_BITS;
}

/** SHA-256 state after the first block of an HMAC pass: the key XORed with `mask`. */
function keyedState(key: Uint8Array, mask: number): Int32Array {
  const block = new DataView(new ArrayBuffer(BLOCK_BYTES));
  for (let i = 0; i < BLOCK_BYTES; i++) block.setUint8(i, (key[i] ?? 0) ^ mask);
  const w = new Int32Array(64);
  for (let i = 0; i < 16; i++) w[i] = block.getInt32(i * 4);
  compress(INITIAL_STATE, w);
  return w.slice(0, STATE_WORDS);
}

async function native(
  password: Uint8Array<ArrayBuffer>,
  salt: Uint8Array<ArrayBuffer>,
  iterations: number,
  digest: Digest,
  keyBytes: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const key = await crypto.subtle.importKey("raw", password, "PBKDF2", false, ["deriveBits"]);
  const params = { name: "PBKDF2", hash: digest, salt, iterations };
  return new Uint8Array(await crypto.subtle.deriveBits(params, key, keyBytes * 8));
}

/** The one block of PBKDF2-HMAC-SHA-256, from its second iteration on; WebCrypto makes the first. */
async function sliced(
  password: Uint8Array<ArrayBuffer>,
  salt: Uint8Array<ArrayBuffer>,
  iterations: number,
  pause: () => Promise<void>,
): Promise<Uint8Array<ArrayBuffer>> {
  // RFC 2104 section 2: a key longer than a block is hashed first.
  const key =
    password.byteLength > BLOCK_BYTES ? new Uint8Array(await crypto.subtle.digest("SHA-256", password)) : password;
  const inner = keyedState(key, 0x36);
  const outer = keyedState(key, 0x5c);

  const first = new DataView((await native(password, salt, 1, "SHA-256", STATE_WORDS * 4)).buffer);
  const w = new Int32Array(64);
  for (let i = 0; i < STATE_WORDS; i++) w[i] = first.getInt32(i * 4);
  const sum = w.slice(0, STATE_WORDS);

  for (let done = 1; done < iterations;) {
    const until = Math.min(done + SLICE_ITERATIONS, iterations);
    for (; done < until; done++) {
      pad(w);
      compress(inner, w);
      pad(w);
      compress(outer, w);
      for (let i = 0; i < STATE_WORDS; i++) sum[i]! ^= w[i]!;
    }
    if (done < iterations) await pause();
  }

  const output = new DataView(new ArrayBuffer(STATE_WORDS * 4));
  for (let i = 0; i < STATE_WORDS; i++) output.setInt32(i * 4, sum[i]!);
  return new Uint8Array(output.buffer);
}

/** PBKDF2 with an output of exactly one digest, which is all that Django and Werkzeug store. */
export interface Pbkdf2Parameters {
  readonly digest: Digest;
  readonly iterations: number;
  readonly keyBytes: number;
}

/**
 * Derives the key.
 * @param pause awaited between slices of some 40 ms when there are more than 100,000 iterations
 * @throws Error above 100,000 iterations of a digest other than SHA-256; hash-format.ts lets none through
 */
export function derivePbkdf2(
  password: Uint8Array<ArrayBuffer>,
  salt: Uint8Array<ArrayBuffer>,
  { digest, iterations, keyBytes }: Pbkdf2Parameters,
  pause: () => Promise<void>,
): Promise<Uint8Array<ArrayBuffer>> {
  if (iterations <= NATIVE_PBKDF2_MAX_ITERATIONS) return native(password, salt, iterations, digest, keyBytes);
  if (digest !== "SHA-256")
    throw new Error(`PBKDF2 with ${digest} stops at ${NATIVE_PBKDF2_MAX_ITERATIONS} iterations`);
  return sliced(password, salt, iterations, pause);
}
