// One user of the 10,000: logs in once, calls with pauses, refreshes when the token has expired. Latency counts from the
// moment at which the request was meant to be sent: a generator or a server that stalls does not hide who waited for it.
import { setTimeout as sleep } from "node:timers/promises";
import { type Answer, encodeRequest } from "../bench/http.ts";
import type { Recorder } from "../report/recorder.ts";
import { address } from "../scenarios/presets.ts";
import { UserSocket } from "./socket.ts";

/** Clients refresh a little ahead of expiry. */
const EARLY_MS = 1000;
/** Nobody pauses longer than this many times the mean. */
const LONGEST_PAUSES = 6;
/** So that what went wrong is said, and not ten thousand times. */
const FAULTS_SHOWN = 5;

export interface World {
  readonly url: URL;
  readonly password: string;
  readonly thinkSeconds: number;
  readonly recorder: Recorder;
  /** On the clock of `performance.now()`. */
  readonly startedAt: number;
  phase: string;
  isOver: boolean;
  /** Requests without an answer yet, by the phase they were sent in. */
  readonly pending: Map<string, number>;
  /** The first few, in words. */
  readonly faults: string[];
}

interface Tokens {
  readonly access: string;
  readonly refresh: string;
  readonly expiresAt: number;
}

/** A pause with the given mean, exponentially distributed: how long it has lasted says nothing of when it ends. */
export function pauseMs(meanSeconds: number, random: () => number): number {
  return Math.min(-Math.log(1 - random()), LONGEST_PAUSES) * meanSeconds * 1000;
}

function tokensOf(answer: Answer | null): Tokens | null {
  if (answer?.status !== 200) return null;
  const body = JSON.parse(answer.body) as { access_token: string; refresh_token: string; expires_in: number };
  return {
    access: body.access_token,
    refresh: body.refresh_token,
    expiresAt: performance.now() + body.expires_in * 1000,
  };
}

export class User {
  readonly #world: World;
  readonly #number: number;
  readonly #address: string;
  readonly #socket: UserSocket;
  #refreshes = 0;

  constructor(world: World, number: number) {
    this.#world = world;
    this.#number = number;
    this.#address = address(number);
    this.#socket = new UserSocket(world.url);
  }

  /** One request, recorded under the phase in which it was sent. Null when it failed on the way. */
  async #ask(operation: string, dueAt: number, request: string): Promise<Answer | null> {
    const { recorder, startedAt, phase, faults, pending } = this.#world;
    let answer: Answer | null = null;
    let fault = "";
    pending.set(phase, (pending.get(phase) ?? 0) + 1);
    try {
      answer = await this.#socket.send(request);
      if (answer.status !== 200) fault = `${answer.status} ${answer.body}`;
    } catch (error) {
      fault = error instanceof Error ? error.message : String(error);
    }
    pending.set(phase, (pending.get(phase) ?? 0) - 1);
    const endedAt = performance.now();
    recorder.record(phase, operation, endedAt - startedAt, endedAt - dueAt, fault !== "");
    if (fault !== "" && faults.length < FAULTS_SHOWN) faults.push(`${operation}: ${fault}`);
    return answer;
  }

  #post(path: string, body: Record<string, string>, key?: string): string {
    const fields = { "CF-Connecting-IP": this.#address, ...(key !== undefined && { "Idempotency-Key": key }) };
    return encodeRequest("POST", path, fields, JSON.stringify(body));
  }

  async #login(dueAt: number): Promise<Tokens | null> {
    const body = { username: `user-${this.#number}`, password: this.#world.password };
    return tokensOf(await this.#ask("login", dueAt, this.#post("/auth/login", body)));
  }

  async #refresh(tokens: Tokens, dueAt: number): Promise<Tokens | null> {
    this.#refreshes += 1;
    const request = this.#post("/auth/refresh", { refresh_token: tokens.refresh }, `${this.#refreshes}`);
    return tokensOf(await this.#ask("refresh", dueAt, request));
  }

  async #call(tokens: Tokens, dueAt: number): Promise<void> {
    const fields = { Authorization: `Bearer ${tokens.access}`, "CF-Connecting-IP": this.#address };
    await this.#ask("call", dueAt, encodeRequest("GET", "/api/items?page=2", fields));
  }

  /** Logs in; null when refused. */
  async arrive(dueAt: number): Promise<Tokens | null> {
    return await this.#login(dueAt);
  }

  leave(): void {
    this.#socket.close();
  }

  /** Calls until the world is over. */
  async live(first: Tokens): Promise<void> {
    let tokens: Tokens | null = first;
    while (tokens !== null) {
      let dueAt = performance.now() + pauseMs(this.#world.thinkSeconds, Math.random);
      await sleep(Math.max(0, dueAt - performance.now()), undefined, { ref: false });
      if (this.#world.isOver) break;
      if (dueAt > tokens.expiresAt - EARLY_MS) {
        tokens = await this.#refresh(tokens, dueAt);
        dueAt = performance.now();
      }
      if (tokens !== null) await this.#call(tokens, dueAt);
    }
    this.leave();
  }
}
