import { fc, test as prop } from "@fast-check/vitest";
import { describe, expect, test } from "vitest";
import { hit } from "../../src/limits/window.ts";

describe("the sliding window", () => {
  prop.prop([
    fc.array(fc.integer({ min: 0, max: 5000 }), { maxLength: 200 }),
    fc.record({ quota: fc.integer({ min: 1, max: 12 }), windowMs: fc.integer({ min: 1, max: 60_000 }) }),
  ])("never lets more than its quota through in any stretch of its length", (gaps, window) => {
    let log: readonly number[] = [];
    let now = 0;
    const allowed: number[] = [];
    for (const gap of gaps) {
      now += gap;
      const decision = hit(log, window, now);
      log = decision.log;
      if (decision.allowed) allowed.push(now);
      expect(log.length).toBeLessThanOrEqual(window.quota);
      const inWindow = allowed.filter((at) => at > now - window.windowMs).length;
      expect(inWindow).toBeLessThanOrEqual(window.quota);
      expect(decision.remaining).toBe(window.quota - inWindow);
    }
  });

  prop.prop([fc.array(fc.integer({ min: 0, max: 5000 }), { minLength: 1, maxLength: 60 })])(
    "lets a refused request through after exactly the time it named, and not a millisecond before",
    (gaps) => {
      const window = { quota: 3, windowMs: 10_000 };
      let log: readonly number[] = [];
      let now = 0;
      for (const gap of gaps) {
        now += gap;
        const decision = hit(log, window, now);
        log = decision.log;
        if (decision.allowed) continue;
        expect(hit(log, window, now + decision.resetMs - 1).allowed).toBe(false);
        expect(hit(log, window, now + decision.resetMs).allowed).toBe(true);
      }
    },
  );

  test("names the time until it has room even when the quota was lowered under a full log", () => {
    const decision = hit([0, 100, 200, 300], { quota: 2, windowMs: 1000 }, 400);
    expect(decision).toMatchObject({ allowed: false, remaining: 0, resetMs: 800 });
    expect(hit(decision.log, { quota: 2, windowMs: 1000 }, 1200).allowed).toBe(true);
  });
});
