import { describe, expect, test } from "vitest";
import type { Runtime } from "../../src/kit/runtime.ts";
import { once, share, singleFlight } from "../../src/kit/shared.ts";
import { keyStates } from "../../src/tokens/key-states.ts";
import { forgettableKeys, scheduledMinting } from "../../src/tokens/key-schedule.ts";

/** A runtime whose patience ends when the test says so. */
function patientRuntime() {
  const sleepers: (() => void)[] = [];
  const runtime: Runtime = {
    now: () => 0,
    randomBytes: (length) => new Uint8Array(length),
    sleep: () => new Promise((resolve) => sleepers.push(resolve)),
    waitUntil: () => undefined,
  };
  const wake = (): void => {
    for (const resolve of sleepers.splice(0)) resolve();
  };
  return { runtime, wake };
}

describe("shared work", () => {
  test("gives its result to those who wait, and to those who come later", async () => {
    const { runtime } = patientRuntime();
    const shared = share(Promise.resolve("done"), runtime);
    expect(shared.result).toBeUndefined();
    expect(await shared.wait()).toBe("done");
    expect(shared.result).toBe("done");
    expect(await shared.wait()).toBe("done");
  });

  test("that fails gives nothing, to either", async () => {
    const { runtime } = patientRuntime();
    const shared = share(Promise.reject(new Error("lost")), runtime);
    expect(await shared.wait()).toBeNull();
    expect(await shared.wait()).toBeNull();
  });

  test("is given up on when it takes too long", async () => {
    const { runtime, wake } = patientRuntime();
    const waiting = share(new Promise(() => undefined), runtime).wait();
    wake();
    expect(await waiting).toBeNull();
  });

  test("in single flight is done by one for all, and by the next one if the first fails", async () => {
    const { runtime } = patientRuntime();
    let runs = 0;
    const fly = singleFlight(runtime, async () => {
      runs += 1;
      if (runs === 1) throw new Error("lost");
      return runs;
    });
    const [first, second, third] = await Promise.allSettled([fly(), fly(), fly()]);
    expect(first.status).toBe("rejected");
    expect([second.status, third.status]).toEqual(["fulfilled", "fulfilled"]);
    expect(await fly()).toBe(runs);
  });

  test("made once is made once", async () => {
    let made = 0;
    const make = once(async () => (made += 1));
    expect([await make(), await make()]).toEqual([1, 1]);
  });
});

describe("the key schedule", () => {
  const DAY_MS = 86_400_000;
  const key = (kid: string, activeAt: number, withdrawnAt: number | null = null) => ({
    kid,
    createdAt: activeAt,
    activeAt,
    withdrawnAt,
  });

  test("mints nothing without a key to succeed, nor while one is waiting", () => {
    expect(scheduledMinting(keyStates([], 0, 0), DAY_MS, 0)).toBeNull();
    const waiting = keyStates([key("a", 0), key("b", 90 * DAY_MS)], 60 * DAY_MS, 0);
    expect(scheduledMinting(waiting, 30 * DAY_MS, 60 * DAY_MS)).toBeNull();
  });

  test("orders keys of one moment the same way everywhere", () => {
    const [a, b] = [key("a", 5), key("b", 5)];
    expect(keyStates([a, b], 10, 0).current?.kid).toBe("b");
    expect(keyStates([b, a], 10, 0).current?.kid).toBe("b");
  });

  test("forgets keys a month after they are of no use, and never the newest", () => {
    const keys = [key("a", 0), key("b", 10 * DAY_MS), key("c", 20 * DAY_MS, 21 * DAY_MS)];
    expect(forgettableKeys(keys, 1000, 30 * DAY_MS)).toEqual([]);
    expect(forgettableKeys(keys, 1000, 60 * DAY_MS)).toEqual(["a", "c"]);
    expect(forgettableKeys(keys, 1000, 600 * DAY_MS)).toEqual(["a", "c"]);
    expect(forgettableKeys([], 1000, 600 * DAY_MS)).toEqual([]);
  });
});
