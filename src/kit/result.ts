/**
 * Success or a failure that was expected, as plain data: it crosses Durable Object RPC unchanged, which an exception
 * does not. Bugs are still thrown.
 */
import type { Failure } from "./failure.ts";

export interface Ok<T> {
  readonly ok: true;
  readonly value: T;
}

export interface Fail<F = Failure> {
  readonly ok: false;
  readonly failure: F;
}

export type Result<T, F = Failure> = Ok<T> | Fail<F>;

export function ok<T>(value: T): Ok<T> {
  return { ok: true, value };
}

export function fail<const F extends Failure>(failure: F): Fail<F> {
  return { ok: false, failure };
}
