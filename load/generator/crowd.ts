// Many users against one server: they arrive at a rate, stay, and are measured in phases; or more and more of them do,
// until the promise breaks.
import { setTimeout as sleep } from "node:timers/promises";
import { Recorder, type Summary } from "../report/recorder.ts";
import { PROMISE } from "../scenarios/presets.ts";
import { User, type World } from "./user.ts";

export interface Plan {
  readonly url: string;
  readonly password: string;
  readonly users: number;
  /** Arrivals, each a login, per second. */
  readonly ramp: number;
  /** How long the users are measured once all are logged in. */
  readonly seconds: number;
  readonly thinkSeconds: number;
  /** What is stepped up until the promise breaks; null: nothing, one run. */
  readonly find: "users" | "logins" | null;
  readonly step: number;
}

/** One step of a search, and whether the promise held in it. */
export interface Step {
  readonly size: number;
  readonly isHeld: boolean;
  readonly summary: Summary | null;
  /** When it ended, since the start. */
  readonly endedSecond: number;
}

const SETTLE_SECONDS = 3;
const PROGRESS_SECONDS = 10;
/** Enough for the last of a step's logins even when they have piled up. */
const DRAIN_LIMIT_SECONDS = 600;
const DRAIN_POLL_MS = 50;

/** Whether latencies and errors are within the promise. */
export function isWithinPromise(summary: Summary | null | undefined): boolean {
  if (summary === null || summary === undefined || summary.meanMs === null || summary.p99Ms === null) return false;
  return summary.errors <= PROMISE.errors && summary.meanMs <= PROMISE.meanMs && summary.p99Ms <= PROMISE.p99Ms;
}

export class Crowd {
  readonly #world: World;
  readonly #plan: Plan;
  readonly #lives: Promise<void>[] = [];
  #arrived = 0;
  #loggedIn = 0;

  constructor(plan: Plan) {
    this.#plan = plan;
    this.#world = {
      url: new URL(plan.url),
      password: plan.password,
      thinkSeconds: plan.thinkSeconds,
      recorder: new Recorder(),
      startedAt: performance.now(),
      phase: "ramp",
      isOver: false,
      pending: new Map(),
      faults: [],
    };
  }

  get recorder(): Recorder {
    return this.#world.recorder;
  }

  get faults(): readonly string[] {
    return this.#world.faults;
  }

  get loggedIn(): number {
    return this.#loggedIn;
  }

  async #arrive(number: number, dueAt: number, stays: boolean): Promise<void> {
    const user = new User(this.#world, number);
    const tokens = await user.arrive(dueAt);
    if (tokens === null) return user.leave();
    this.#loggedIn += 1;
    if (!stays) return user.leave();
    this.#lives.push(user.live(tokens));
  }

  /** Lets `count` more users arrive, `perSecond`, and waits until each has had its answer. */
  async grow(count: number, perSecond: number, stays: boolean): Promise<void> {
    const startedAt = performance.now();
    const arrivals: Promise<void>[] = [];
    for (let i = 0; i < count; i++) {
      const dueAt = startedAt + (i * 1000) / perSecond;
      const aheadMs = dueAt - performance.now();
      await sleep(Math.max(0, aheadMs));
      arrivals.push(this.#arrive(this.#arrived, dueAt, stays));
      this.#arrived += 1;
    }
    await Promise.race([Promise.all(arrivals), sleep(DRAIN_LIMIT_SECONDS * 1000, undefined, { ref: false })]);
  }

  /** Everything due in the next seconds counts as `phase`. */
  async measure(phase: string, seconds: number): Promise<void> {
    await sleep(SETTLE_SECONDS * 1000);
    this.#world.phase = phase;
    await sleep(seconds * 1000);
    this.#world.phase = "between";
    await this.#drain(phase);
  }

  /** Waits for the answers to what was sent in a phase: the slowest of all must not be left out. */
  async #drain(phase: string): Promise<void> {
    const endsAt = performance.now() + DRAIN_LIMIT_SECONDS * 1000;
    while ((this.#world.pending.get(phase) ?? 0) > 0 && performance.now() < endsAt) await sleep(DRAIN_POLL_MS);
  }

  /** The plan's users, and then the phase `steady`. */
  async run(): Promise<void> {
    const { users, ramp, seconds } = this.#plan;
    await this.grow(users, ramp, true);
    await this.measure("steady", seconds);
  }

  /** More users, step by step: the phases `users N`. */
  async findUsers(): Promise<Step[]> {
    const { users, ramp, seconds, step } = this.#plan;
    const steps: Step[] = [];
    for (let size = step; size <= users; size += step) {
      this.#world.phase = "ramp";
      await this.grow(size - this.#arrived, ramp, true);
      await this.measure(`users ${size}`, seconds);
      if (!this.#judge(steps, size, `users ${size}`)) break;
    }
    return steps;
  }

  /** More logins per second, step by step: the phases `logins N`. Who is in leaves at once. */
  async findLogins(): Promise<Step[]> {
    const { users, seconds, step } = this.#plan;
    const steps: Step[] = [];
    for (let rate = step; this.#arrived + rate * seconds <= users; rate += step) {
      this.#world.phase = `logins ${rate}`;
      await this.grow(Math.ceil(rate * seconds), rate, false);
      if (!this.#judge(steps, rate, `logins ${rate}`)) break;
      await sleep(SETTLE_SECONDS * 1000);
    }
    return steps;
  }

  #judge(steps: Step[], size: number, phase: string): boolean {
    const summary = this.recorder.phase(phase)["all"] ?? null;
    const isHeld = isWithinPromise(summary);
    const endedSecond = Math.floor((performance.now() - this.#world.startedAt) / 1000);
    steps.push({ size, isHeld, summary, endedSecond });
    console.error(`${phase}: ${isHeld ? "holds" : "breaks"}, mean ${summary?.meanMs} ms, p99 ${summary?.p99Ms} ms`);
    return isHeld;
  }

  /** Says on standard error every few seconds how many are in. Returns what stops it. */
  reportProgress(): () => void {
    const timer = setInterval(() => {
      const seconds = Math.round((performance.now() - this.#world.startedAt) / 1000);
      console.error(`${seconds} s: ${this.#loggedIn} of ${this.#arrived} arrived are logged in (${this.#world.phase})`);
    }, PROGRESS_SECONDS * 1000);
    return () => clearInterval(timer);
  }

  /** Ends all users; those in a pause are not waited for. */
  stop(): void {
    this.#world.isOver = true;
  }
}
