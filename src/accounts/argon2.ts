/**
 * Argon2 by the WASM build of the reference implementation that @phi-ag/argon2 ships, and today's parameters for it. Only
 * the .wasm of that package is used: its JavaScript (0.5.28) gives the password's length in UTF-16 units where bytes are
 * due, and so ignores the end of every password that is not ASCII. What a password is, and when to hash, is password-hash.ts.
 */

/** What a hash costs and looks like. */
export interface Argon2Parameters {
  readonly memoryKib: number;
  readonly passes: number;
  readonly lanes: number;
  readonly tagBytes: number;
}

/** Argon2id at the OWASP setting, which ASVS 5.0 appendix C approves as well: about 30 ms. */
export const ARGON2ID = { memoryKib: 19_456, passes: 2, lanes: 1, tagBytes: 32 } as const satisfies Argon2Parameters;

export const ARGON2ID_SALT_BYTES = 16;

/** The start of every PHC string made with {@link ARGON2ID}. */
export const ARGON2ID_PREFIX = `$argon2id$v=19$m=${ARGON2ID.memoryKib},t=${ARGON2ID.passes},p=${ARGON2ID.lanes}$`;

export interface Argon2 {
  /** The PHC string of the Argon2id hash of `password`. */
  hash(password: Uint8Array, salt: Uint8Array, parameters: Argon2Parameters): string;
  /** Whether `password` is the one in `phc`, which is Argon2id or Argon2i; false when `phc` is no PHC string at all. */
  verify(phc: string, password: Uint8Array): boolean;
}

// include/argon2.h of the reference implementation.
const TYPE_I = 1;
const TYPE_ID = 2;
const VERSION_13 = 0x13;
const OK = 0;
const DECODING_FAIL = -32;
const VERIFY_MISMATCH = -35;

/** The functions of the WASM, with pointers into its memory. */
interface Exports {
  readonly memory: WebAssembly.Memory;
  _initialize(): void;
  malloc(bytes: number): number;
  free(pointer: number): void;
  argon2_encodedlen(
    passes: number,
    memoryKib: number,
    lanes: number,
    saltBytes: number,
    tagBytes: number,
    type: number,
  ): number;
  argon2_hash(
    passes: number,
    memoryKib: number,
    lanes: number,
    password: number,
    passwordBytes: number,
    salt: number,
    saltBytes: number,
    tag: number,
    tagBytes: number,
    encoded: number,
    encodedBytes: number,
    type: number,
    version: number,
  ): number;
  argon2_verify(encoded: number, password: number, passwordBytes: number, type: number): number;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/**
 * An instance, whose memory grows to the most that a hash has needed and never shrinks. Not to be shared between threads.
 * @param module `@phi-ag/argon2/argon2.wasm`
 */
export function createArgon2(module: WebAssembly.Module): Argon2 {
  const wasm = new WebAssembly.Instance(module).exports as unknown as Exports;
  wasm._initialize();

  /** Runs `task` with a pointer to `bytes` of memory, which are wiped before they are freed. */
  const withMemory = <T>(bytes: number, task: (pointer: number) => T): T => {
    const pointer = wasm.malloc(bytes);
    if (pointer === 0) throw new Error("Argon2 has no memory left");
    try {
      return task(pointer);
    } finally {
      new Uint8Array(wasm.memory.buffer, pointer, bytes).fill(0);
      wasm.free(pointer);
    }
  };

  /** Runs `task` with a pointer to a copy of `data`, never of no bytes at all. */
  const withCopy = <T>(data: Uint8Array, task: (pointer: number) => T): T =>
    withMemory(data.byteLength + 1, (pointer) => {
      new Uint8Array(wasm.memory.buffer).set(data, pointer);
      return task(pointer);
    });

  const failed = (code: number): Error => new Error(`Argon2 failed with code ${code}`);

  return {
    hash(password, salt, { memoryKib, passes, lanes, tagBytes }) {
      const encodedBytes = wasm.argon2_encodedlen(passes, memoryKib, lanes, salt.byteLength, tagBytes, TYPE_ID);
      return withCopy(password, (passwordAt) =>
        withCopy(salt, (saltAt) =>
          withMemory(encodedBytes, (encodedAt) => {
            const code = wasm.argon2_hash(
              passes,
              memoryKib,
              lanes,
              passwordAt,
              password.byteLength,
              saltAt,
              salt.byteLength,
              0, // the tag is wanted in the encoded form only
              tagBytes,
              encodedAt,
              encodedBytes,
              TYPE_ID,
              VERSION_13,
            );
            if (code !== OK) throw failed(code);
            // The last byte is the C string's end.
            return decoder.decode(new Uint8Array(wasm.memory.buffer, encodedAt, encodedBytes - 1));
          }),
        ),
      );
    },

    verify(phc, password) {
      const type = phc.startsWith("$argon2i$") ? TYPE_I : TYPE_ID;
      const code = withCopy(encoder.encode(`${phc}\0`), (phcAt) =>
        withCopy(password, (passwordAt) => wasm.argon2_verify(phcAt, passwordAt, password.byteLength, type)),
      );
      if (code === OK) return true;
      if (code === VERIFY_MISMATCH || code === DECODING_FAIL) return false;
      // Out of memory, above all: not to be taken for a wrong password.
      throw failed(code);
    },
  };
}
