/**
 * One Durable Object per limited key: the log of one sliding window, in one stored value. It is written without waiting
 * for the disk: a crash may forgive the last request, which is cheaper than making each of them wait. Only client.ts
 * calls it.
 */
import { DurableObject } from "cloudflare:workers";
import { type Decision, hit, type Window } from "./window.ts";

const LOG = "log";

interface Stored {
  readonly log: readonly number[];
  readonly windowMs: number;
}

export type HitReply = Omit<Decision, "log">;

export class Counter extends DurableObject<unknown> {
  #stored: Stored | undefined = this.ctx.storage.kv.get<Stored>(LOG);

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

  /** Removes itself once the window is empty; else comes back when it will be. */
  override async alarm(): Promise<void> {
    const newest = this.#stored?.log.at(-1);
    const emptyAt = newest === undefined ? 0 : newest + (this.#stored?.windowMs ?? 0);
    if (emptyAt > Date.now()) {
      await this.ctx.storage.setAlarm(emptyAt);
      return;
    }
    this.#stored = undefined;
    await this.ctx.storage.deleteAll();
  }
}
