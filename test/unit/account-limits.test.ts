import { fc, test as prop } from "@fast-check/vitest";
import { describe, expect, test } from "vitest";
import {
  attempt,
  type Attempts,
  type AttemptWindows,
  KNOWN_ADDRESSES,
  KNOWN_FOR_MS,
  MAX_SPACING_MS,
  NO_ATTEMPTS,
  succeeded,
  withdrawn,
} from "../../src/limits/attempts.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DEFAULTS: AttemptWindows = {
  address: { quota: 5, windowMs: 15 * MINUTE_MS },
  account: { quota: 100, windowMs: HOUR_MS },
};
/** Gaps of 1, 2, 4, 8, 16, 32 s and then of a minute: how many guesses fit into an hour beyond the quota. */
const BEYOND_PER_HOUR = 6 + Math.floor((HOUR_MS - 63_000) / MAX_SPACING_MS);

/** An account under attack: every call is at `now`, and what was let through is kept. */
class Account {
  attempts: Attempts = NO_ATTEMPTS;
  now = 1_000_000;
  /** Guesses let through, in the order of charging. */
  readonly guesses: { id: number; at: number; address: string; right: boolean }[] = [];
  readonly #windows: AttemptWindows;

  constructor(windows: AttemptWindows = DEFAULTS) {
    this.#windows = windows;
  }

  guess(address: string) {
    const decision = attempt(this.attempts, address, this.#windows, this.now);
    if (decision.allowed) {
      this.attempts = decision.attempts;
      this.guesses.push({ id: decision.id, at: this.now, address, right: false });
    }
    return decision;
  }

  /** A guess with the right password; false if it was refused. */
  enter(address: string): boolean {
    const decision = this.guess(address);
    if (decision.allowed) this.settle(address, decision.id);
    return decision.allowed;
  }

  settle(address: string, id: number): void {
    this.attempts = succeeded(this.attempts, address, id, this.now);
    const guess = this.guesses.find((made) => made.id === id);
    if (guess !== undefined) guess.right = true;
  }

  /** As many wrong guesses as are let through at once, from as many fresh addresses as it takes. */
  flood(count: number, prefix = "bot"): number {
    let made = 0;
    for (let i = 0; i < count; i++) if (this.guess(`${prefix}-${i}`).allowed) made++;
    return made;
  }
}

const ADDRESSES = ["a", "b", "c"];
const step = fc.record({
  gapMs: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 2000 }), fc.integer({ min: 0, max: 4 * MINUTE_MS })),
  address: fc.constantFrom(...ADDRESSES),
  right: fc.boolean(),
  /** How many steps later the refund arrives. */
  delay: fc.integer({ min: 0, max: 12 }),
});

describe("guesses from one address at one account", () => {
  prop.prop([fc.array(step, { maxLength: 150 })])(
    "are never more than the quota in any window, between two right ones, whatever refunds are under way",
    (steps) => {
      const account = new Account();
      const refunds: { due: number; address: string; id: number }[] = [];
      for (const [index, { gapMs, address, right, delay }] of steps.entries()) {
        account.now += gapMs;
        for (const refund of refunds.filter(({ due }) => due <= index)) account.settle(refund.address, refund.id);
        const decision = account.guess(address);
        if (!decision.allowed || !right) continue;
        const made = account.guesses.at(-1);
        if (made !== undefined) made.right = true;
        refunds.push({ due: index + delay, address, id: decision.id });
      }
      for (const address of ADDRESSES) {
        let run: number[] = [];
        for (const guess of account.guesses.filter((made) => made.address === address)) {
          run = guess.right ? [] : [...run, guess.at];
          const inWindow = run.filter((at) => at > guess.at - DEFAULTS.address.windowMs);
          expect(inWindow.length).toBeLessThanOrEqual(DEFAULTS.address.quota);
        }
      }
    },
  );

  prop.prop([fc.array(step, { minLength: 1, maxLength: 100 })])(
    "and from all, once refused, are let through after exactly the time named",
    (steps) => {
      const account = new Account({
        address: { quota: 3, windowMs: 5 * MINUTE_MS },
        account: { quota: 4, windowMs: 20 * MINUTE_MS },
      });
      for (const { gapMs, address, right } of steps) {
        account.now += gapMs;
        const decision = account.guess(address);
        if (decision.allowed) {
          if (right) account.settle(address, decision.id);
          continue;
        }
        const refusedAt = account.now;
        account.now = refusedAt + decision.binding.resetMs - 1;
        expect(account.guess(address).allowed).toBe(false);
        account.now += 1;
        expect(account.guess(address).allowed).toBe(true);
      }
    },
  );

  prop.prop([fc.array(step, { minLength: 1, maxLength: 100 })])(
    "while some remain, number exactly as many as are named",
    (steps) => {
      const account = new Account();
      for (const { gapMs, address } of steps) {
        account.now += gapMs;
        const decision = account.guess(address);
        if (!decision.allowed) continue;
        const { remaining } = decision.binding;
        let attempts = account.attempts;
        for (let left = remaining; left > 0; left--) {
          const next = attempt(attempts, address, DEFAULTS, account.now);
          expect(next.allowed).toBe(true);
          if (next.allowed) attempts = next.attempts;
        }
        expect(attempt(attempts, address, DEFAULTS, account.now).allowed).toBe(false);
      }
    },
  );

  test("start anew after the right password, but not those charged after it", () => {
    const account = new Account();
    for (let i = 0; i < 4; i++) account.guess("a");
    expect(account.enter("a")).toBe(true);
    const slow = account.guess("a");
    for (let i = 0; i < 4; i++) expect(account.guess("a").allowed).toBe(true);
    expect(account.guess("a").allowed).toBe(false);
    // The first of five was right after all: the four charged later stay.
    if (slow.allowed) account.settle("a", slow.id);
    expect(account.guess("a").allowed).toBe(true);
    expect(account.guess("a").allowed).toBe(false);
  });

  test("say whether one that is in the way may still be refunded", () => {
    const account = new Account();
    for (let i = 0; i < 5; i++) account.guess("a");
    expect(account.guess("a")).toMatchObject({ allowed: false, undecided: true });
    account.now += 1000;
    expect(account.guess("a")).toMatchObject({ allowed: false, undecided: false });
  });

  test("that were never made are given back", () => {
    const account = new Account();
    for (let i = 0; i < 50; i++) {
      const decision = account.guess("a");
      if (decision.allowed) account.attempts = withdrawn(account.attempts, decision.id);
    }
    expect(account.guess("a")).toMatchObject({ allowed: true, binding: { tier: "address", remaining: 4 } });
  });
});

describe("an account under attack from many addresses", () => {
  test("lets the quota through at once, then one guess per interval, which doubles up to a minute", () => {
    const account = new Account();
    expect(account.flood(1000)).toBe(100);
    const waits: number[] = [];
    for (let i = 0; i < 9; i++) {
      const decision = account.guess(`late-${i}`);
      if (decision.allowed) throw new Error("beyond the quota nothing comes at once");
      expect(decision.binding.tier).toBe("account");
      waits.push(decision.binding.resetMs / 1000);
      account.now += decision.binding.resetMs;
      expect(account.guess(`late-${i}`)).toMatchObject({ allowed: true, binding: { remaining: 0 } });
    }
    expect(waits).toEqual([1, 2, 4, 8, 16, 32, 60, 60, 60]);
  });

  test("takes 164 guesses in the worst hour, and 2,602 in the worst day", () => {
    const account = new Account();
    for (let second = 0; second < 24 * 3600; second++) {
      for (let i = 0; account.guess(`bot-${second}-${i}`).allowed; i++);
      account.now += 1000;
    }
    expect(account.guesses).toHaveLength(2602);
    const worst = Math.max(
      ...account.guesses.map(({ at }, i) => account.guesses.slice(i).filter((other) => other.at < at + HOUR_MS).length),
    );
    expect(worst).toBe(164);
    expect(worst).toBe(DEFAULTS.account.quota + BEYOND_PER_HOUR);
  });

  prop.prop([fc.array(fc.integer({ min: 0, max: 90_000 }), { minLength: 200, maxLength: 400 })])(
    "never takes more than the quota and a minute's pace in any hour, and never asks for more than a minute",
    (gaps) => {
      const account = new Account();
      for (const [index, gapMs] of gaps.entries()) {
        account.now += gapMs;
        for (let i = 0; i < 4; i++) {
          const decision = account.guess(`bot-${index}-${i}`);
          if (!decision.allowed) expect(decision.binding.resetMs).toBeLessThanOrEqual(MAX_SPACING_MS);
        }
        const lastHour = account.guesses.filter(({ at }) => at > account.now - HOUR_MS);
        expect(lastHour.length).toBeLessThanOrEqual(DEFAULTS.account.quota + BEYOND_PER_HOUR);
      }
    },
  );

  test("keeps a bounded row, however many addresses ask", () => {
    const account = new Account();
    for (let i = 0; i < KNOWN_ADDRESSES + 5; i++) account.enter(`home-${i}`);
    for (let i = 0; i < 100_000; i++) {
      if (i % 10 === 0) account.now += 1000;
      if (i % 7 === 0) account.guess(`home-${i % (KNOWN_ADDRESSES + 5)}`);
      account.guess(`bot-${i}`);
      if (i % 1000 === 0) {
        expect(account.attempts.charges.length).toBeLessThanOrEqual(100 + BEYOND_PER_HOUR + KNOWN_ADDRESSES * 5);
        expect(account.attempts.known.length).toBeLessThanOrEqual(KNOWN_ADDRESSES);
      }
    }
    expect(JSON.stringify(account.attempts).length).toBeLessThan(16 * 1024);
  });

  test("does not hold up an address from which the password was right, nor count against it what others do", () => {
    const account = new Account();
    account.enter("home");
    for (let minute = 0; minute < 180; minute++) {
      account.now += MINUTE_MS;
      account.flood(150, `bot-${minute}`);
      expect(account.guess("elsewhere").allowed).toBe(false);
      expect(account.enter("home")).toBe(true);
    }
  });

  test("does not let a known address guess more than any other", () => {
    const account = new Account();
    account.enter("home");
    account.flood(200);
    for (let i = 0; i < 5; i++) expect(account.guess("home").allowed).toBe(true);
    expect(account.guess("home")).toMatchObject({ allowed: false, binding: { tier: "address" } });
    // What a known address gets wrong does not slow the others down.
    const calm = new Account();
    calm.enter("home");
    for (let i = 0; i < 5; i++) calm.guess("home");
    expect(calm.flood(200)).toBe(100);
  });

  test("forgets an address that has not been used for thirty days, or ten others later", () => {
    const account = new Account();
    account.enter("home");
    account.now += KNOWN_FOR_MS;
    account.flood(200);
    expect(account.enter("home")).toBe(false);

    const many = new Account();
    for (let i = 0; i <= KNOWN_ADDRESSES; i++) many.enter(`home-${i}`);
    many.flood(200);
    expect(many.enter("home-0")).toBe(false);
    for (let i = 1; i <= KNOWN_ADDRESSES; i++) expect(many.enter(`home-${i}`)).toBe(true);
  });
});
