/**
 * The world a rule may not touch by itself: clock, randomness, waiting. One interface, passed in; services.ts makes the
 * real one, tests make others.
 */
export interface Runtime {
  /** Milliseconds since 1970. In production it stands still between two I/O operations. */
  now(): number;
  /** Cryptographically strong random bytes. */
  randomBytes(length: number): Uint8Array<ArrayBuffer>;
  /** Resolves after that many milliseconds. */
  sleep(milliseconds: number): Promise<void>;
  /** Keeps the isolate working on `task` after the response went out or the client went away. */
  waitUntil(task: Promise<unknown>): void;
}
