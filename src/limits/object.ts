/**
 * One Durable Object per limited key, in one stored value: the log of one sliding window, or all that is known of the
 * guesses at one account name. Load, call the rule, save: synchronous, so that no other request gets in between. Only
 * client.ts calls it.
 *
 * A window is written without waiting for the disk: a crash may forgive the last request, which is cheaper than making
 * each of them wait. A guess is not: the answer leaves when the charge is on disk, so no crash gives guesses back. That
 * costs a login nothing, since it reads D1 meanwhile.
 */
import { DurableObject } from "cloudflare:workers";
import {
  attempt,
  type AttemptDecision,
  type Attempts,
  type AttemptWindows,
  NO_ATTEMPTS,
  succeeded,
  withdrawn,
} from "./attempts.ts";
import { type Decision, hit, type Window } from "./window.ts";

const LOG = "log";
const ATTEMPTS = "attempts";

interface Stored {
  readonly log: readonly number[];
  readonly windowMs: number;
}

export type HitReply = Omit<Decision, "log">;

type Allowed = Extract<AttemptDecision, { allowed: true }>;
export type AttemptReply = Omit<Allowed, "attempts"> | Exclude<AttemptDecision, Allowed>;

export class Counter extends DurableObject<unknown> {
  #stored: Stored | undefined = this.ctx.storage.kv.get<Stored>(LOG);
  #attempts: Attempts | undefined = this.ctx.storage.kv.get<Attempts>(ATTEMPTS);

  /** Counts a request if the window has room for it. */
  hit(window: Window): HitReply {
    const now = Date.now();
    const first = this.#stored === undefined;
    const { log, ...reply } = hit(this.#stored?.log ?? [], window, now);
    if (reply.allowed) {
      this.#stored = { log, windowMs: window.windowMs };
      void this.ctx.storage.put(LOG, this.#stored, { allowUnconfirmed: true });
      if (first) void this.ctx.storage.setAlarm(now + window.windowMs, { allowUnconfirmed: true });
    }
    return reply;
  }

  /** Charges a guess at the account's password if it may be made. */
  attempt(address: string, windows: AttemptWindows): AttemptReply {
    const decision = attempt(this.#attempts ?? NO_ATTEMPTS, address, windows, Date.now());
    if (!decision.allowed) return decision;
    const { attempts, ...reply } = decision;
    this.#save(attempts);
    return reply;
  }

  /** The password was right. */
  succeeded(address: string, id: number): void {
    this.#save(succeeded(this.#attempts ?? NO_ATTEMPTS, address, id, Date.now()));
  }

  /** The guess was not made after all. */
  withdrawn(id: number): void {
    if (this.#attempts !== undefined) this.#save(withdrawn(this.#attempts, id));
  }

  #save(attempts: Attempts): void {
    if (this.#attempts === undefined) void this.ctx.storage.setAlarm(attempts.forgettableAt);
    this.#attempts = attempts;
    this.ctx.storage.kv.put(ATTEMPTS, attempts);
  }

  /** Removes itself once nothing in it counts any more; else comes back when that will be so. */
  override async alarm(): Promise<void> {
    const newest = this.#stored?.log.at(-1);
    const emptyAt = newest === undefined ? 0 : newest + (this.#stored?.windowMs ?? 0);
    const forgettableAt = Math.max(emptyAt, this.#attempts?.forgettableAt ?? 0);
    if (forgettableAt > Date.now()) {
      await this.ctx.storage.setAlarm(forgettableAt);
      return;
    }
    this.#stored = undefined;
    this.#attempts = undefined;
    await this.ctx.storage.deleteAll();
  }
}
