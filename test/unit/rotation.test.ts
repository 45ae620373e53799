// Properties of the rotation rule over random interleavings of clients, tabs, lost answers and thieves.
import { fc, test as prop } from "@fast-check/vitest";
import { describe, expect, test } from "vitest";
import { type Family, type Lifetimes, type Presented, rotate, startFamily } from "../../src/sessions/rotation.ts";

const RACE_MS = 10_000;
const LIFETIMES: Lifetimes = { idleMs: 7 * 86_400_000, maxMs: 90 * 86_400_000, raceMs: RACE_MS, accessMs: 900_000 };
const SECRET = "hash of the family secret";

const present = (generation: number, keyHash: string | null = null): Presented => ({
  secretHash: SECRET,
  generation,
  keyHash,
});

/** The family and the clock, with the rule applied as the object does. */
class World {
  now = 1_000_000;
  family: Family = startFamily(SECRET, LIFETIMES, this.now);

  /** The generation given out, or null when refused. */
  refresh(generation: number, keyHash: string | null = null, lifetimes = LIFETIMES): number | null {
    const rotation = rotate(this.family, present(generation, keyHash), lifetimes, this.now);
    if ("family" in rotation) this.family = rotation.family;
    return rotation.outcome === "rotated" || rotation.outcome === "replayed" ? this.family.generation : null;
  }

  get isRevoked(): boolean {
    return this.family.revokedAt !== null;
  }
}

const step = fc.record({
  waitMs: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 2 * RACE_MS }), fc.constant(RACE_MS - 1)),
  generation: fc.integer({ min: 0, max: 12 }),
  key: fc.option(fc.constantFrom("k1", "k2", "k3"), { nil: null }),
});

describe("the rotation rule", () => {
  prop.prop([fc.array(step, { maxLength: 60 })])("never lets the generation go back", (steps) => {
    const world = new World();
    for (const { waitMs, generation, key } of steps) {
      const before = world.family.generation;
      world.now += waitMs;
      world.refresh(generation, key);
      expect(world.family.generation).toBeGreaterThanOrEqual(before);
      expect(world.family.generation - before).toBeLessThanOrEqual(1);
    }
  });

  prop.prop([fc.array(step, { maxLength: 60 })])("never revives a family that was revoked", (steps) => {
    const world = new World();
    for (const { waitMs, generation, key } of steps) {
      const wasRevoked = world.isRevoked;
      world.now += waitMs;
      const given = world.refresh(generation, key);
      if (wasRevoked) expect([given, world.isRevoked]).toEqual([null, true]);
    }
  });

  prop.prop([fc.array(step, { maxLength: 60 })])(
    "gives out the current generation or nothing: one live token",
    (steps) => {
      const world = new World();
      for (const { waitMs, generation, key } of steps) {
        world.now += waitMs;
        const given = world.refresh(generation, key);
        if (given !== null) expect(given).toBe(world.family.generation);
      }
    },
  );

  prop.prop([
    fc.integer({ min: 2, max: 30 }),
    fc.array(fc.integer({ min: 0, max: 300 }), { minLength: 30, maxLength: 30 }),
  ])("gives N racers inside the window one and the same successor", (racers, gaps) => {
    const world = new World();
    const given = new Set<number | null>();
    for (let racer = 0; racer < racers; racer++) {
      given.add(world.refresh(1));
      world.now += gaps[racer] ?? 0;
    }
    expect(given).toEqual(new Set([2]));
    expect(world.isRevoked).toBe(false);
  });

  prop.prop([
    fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 0, max: 6 * 86_400_000 })), { minLength: 1, maxLength: 40 }),
  ])("never logs out a client that loses answers and retries with the right key, however late", (attempts) => {
    const world = new World();
    const end = world.now + LIFETIMES.maxMs;
    let held = 1;
    let keyNumber = 1;
    let idleSince = world.now;
    for (const [isLost, waitMs] of attempts) {
      world.now += waitMs;
      // A client that stays away too long is logged out by the clock, which is another matter.
      if (world.now >= end || world.now - idleSince >= LIFETIMES.idleMs) return;
      const before = world.family.generation;
      const given = world.refresh(held, `key-${keyNumber}`);
      expect(given).not.toBeNull();
      if (world.family.generation > before) idleSince = world.now;
      if (isLost) continue;
      held = given ?? held;
      keyNumber += 1;
    }
  });

  prop.prop([
    fc.boolean(),
    fc.option(fc.constantFrom("thief", "stolen"), { nil: null }),
    fc.integer({ min: 1, max: 20 }),
    fc.integer({ min: 0, max: 5 }),
  ])(
    "exposes a thief, whoever comes first, by the next honest refresh outside the race window",
    (isThiefFirst, thiefKey, thiefRotations, victimRotations) => {
      const world = new World();
      let held = 1;
      for (let i = 0; i < victimRotations; i++) {
        held = world.refresh(held, `victim-${i}`) ?? held;
        world.now += RACE_MS;
      }
      const stolen = held;
      if (isThiefFirst) {
        // The thief takes the chain over and goes on quietly; the victim comes back with what it has.
        let thieves = stolen;
        for (let i = 0; i < thiefRotations; i++) {
          thieves = world.refresh(thieves, thiefKey) ?? thieves;
          world.now += RACE_MS;
        }
        expect(world.refresh(held, "victim-next")).toBeNull();
      } else {
        expect(world.refresh(held, "victim-next")).not.toBeNull();
        world.now += RACE_MS;
        expect(world.refresh(stolen, thiefKey)).toBeNull();
      }
      expect(world.isRevoked).toBe(true);
    },
  );

  prop.prop([fc.integer({ min: 1, max: 30 })])(
    "with a window of 0 forgives nobody without a key, not even at once",
    (racers) => {
      const strict = { ...LIFETIMES, raceMs: 0 };
      const world = new World();
      expect(world.refresh(1, null, strict)).toBe(2);
      for (let i = 0; i < racers; i++) expect(world.refresh(1, null, strict)).toBeNull();
      expect(world.isRevoked).toBe(true);
    },
  );

  test("takes a generation from the future for reuse", () => {
    const world = new World();
    expect(world.refresh(7)).toBeNull();
    expect(world.isRevoked).toBe(true);
  });

  test("knows a token with another family secret by nothing at all", () => {
    const world = new World();
    const rotation = rotate(world.family, { ...present(1), secretHash: "another" }, LIFETIMES, world.now);
    expect(rotation).toEqual({ outcome: "mismatch" });
  });

  test("replays by key in the very millisecond of the rotation", () => {
    const strict = { ...LIFETIMES, raceMs: 0 };
    const world = new World();
    expect(world.refresh(1, "k", strict)).toBe(2);
    expect(world.refresh(1, "k", strict)).toBe(2);
    expect(world.refresh(2, "k2", strict)).toBe(3);
    expect(world.refresh(1, "k", strict)).toBeNull();
  });
});
