// The pure parts of the way out of sessions: who is in the rollout, what a client is called, when a visit is noted, what
// its variables may say.
import { fc, test as property } from "@fast-check/vitest";
import { describe, expect, test } from "vitest";
import { parseConfig } from "../../src/kit/config.ts";
import { startFamily, visit } from "../../src/sessions/rotation.ts";
import { clientFamily } from "../../src/transition/clients.ts";
import { createRollout, placeOf } from "../../src/transition/rollout.ts";

const userOf = (id: string) => ({ id, username: null, role: "user" });
const rollout = (percent: number, salt = "s") => createRollout({ percent, salt, roles: [], users: [] });

describe("the rollout", () => {
  property.prop([fc.uuid(), fc.integer({ min: 0, max: 100 }), fc.integer({ min: 0, max: 100 })])(
    "gives a user the same answer everywhere, and never takes back at more percent what it gave at fewer",
    async (id, a, b) => {
      const [fewer, more] = [Math.min(a, b), Math.max(a, b)];
      const decide = rollout(fewer);
      const first = await decide(userOf(id));
      expect(await decide(userOf(id))).toBe(first);
      expect(await rollout(fewer)(userOf(id))).toBe(first);
      if (first) expect(await rollout(more)(userOf(id))).toBe(true);
    },
  );

  test.each([1, 10, 50, 90])("at %d %% takes that share of the users, give or take chance", async (percent) => {
    const users = Array.from({ length: 10_000 }, () => crypto.randomUUID());
    const decide = rollout(percent, `salt ${percent}`);
    const inside = (await Promise.all(users.map((id) => decide(userOf(id))))).filter(Boolean).length;
    const share = percent / 100;
    // Five standard deviations of a binomial distribution: one run in a million is further off.
    expect(Math.abs(inside - users.length * share)).toBeLessThan(5 * Math.sqrt(users.length * share * (1 - share)));
  });

  test("at 0 takes nobody and at 100 everybody, and another salt takes others", async () => {
    const users = Array.from({ length: 500 }, () => crypto.randomUUID());
    const of = (percent: number, salt?: string) => Promise.all(users.map((id) => rollout(percent, salt)(userOf(id))));
    expect(await of(0)).not.toContain(true);
    expect(await of(100)).not.toContain(false);
    expect(await of(50, "a")).not.toEqual(await of(50, "b"));
    expect(await placeOf("u", "a")).not.toBe(await placeOf("u", "b"));
  });
});

test.each([
  ["Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Safari/537.36 Edg/120.0", "Edge"],
  ["Mozilla/5.0 (X11; Linux) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Safari/537.36", "Chrome"],
  ["Mozilla/5.0 (iPhone) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.0 Mobile/15E148 Safari/604.1", "Safari"],
  ["Mozilla/5.0 (X11; rv:120.0) Gecko/20100101 Firefox/120.0", "Firefox"],
  ["Mozilla/5.0 (compatible)", "browser"],
  ["curl/8.5.0", "curl"],
  ["python-requests/2.31.0", "python-requests"],
  ["MyApp (iOS 17)", "MyApp"],
  ["", "unknown"],
  ["(nothing)", "unknown"],
])("the client %s is %s", (agent, family) => {
  expect(clientFamily(agent)).toBe(family);
});

describe("a session kept alive by visits", () => {
  const arbitrary = {
    idleMs: fc.integer({ min: 1000, max: 10_000_000 }),
    maxMs: fc.integer({ min: 1000, max: 100_000_000 }),
    gaps: fc.array(fc.double({ min: 0, max: 0.999, noNaN: true }), { maxLength: 60 }),
  };
  property.prop([fc.record(arbitrary)])("never ends early, nor later than it must", ({ idleMs, maxMs, gaps }) => {
    const lifetimes = { idleMs, maxMs, raceMs: 0, accessMs: 0 };
    let family = startFamily("", lifetimes, 0);
    let now = 0;
    for (const gap of gaps) {
      now += Math.floor(gap * idleMs);
      if (now >= maxMs) break;
      expect(family.idleExpiresAt).toBeGreaterThan(now);
      family = visit(family, lifetimes, now) ?? family;
      expect(family.idleExpiresAt).toBeGreaterThanOrEqual(Math.min(now + idleMs, maxMs));
      expect(family.idleExpiresAt).toBeLessThanOrEqual(Math.min(now + idleMs * 1.1, maxMs));
    }
  });

  test("is written at most every tenth of its idle time, and never more than every five minutes late", () => {
    const lifetimes = { idleMs: 86_400_000, maxMs: 864_000_000, raceMs: 0, accessMs: 0 };
    const noted = visit(startFamily("", lifetimes, 0), lifetimes, 1);
    expect(noted?.idleExpiresAt).toBe(1 + 86_400_000 + 300_000);
    expect(noted && visit(noted, lifetimes, 300_001)).toBeNull();
    expect(noted && visit(noted, lifetimes, 300_002)).not.toBeNull();
  });
});

describe("the configuration of the transition", () => {
  const good = {
    ISSUER: "https://auth.example.com",
    AUDIENCE: "api",
    AUTH_SECRET: "dGVzdC1vbmx5LWF1dGgtc2VjcmV0LTMyLWJ5dGVzISE=",
    ORIGIN_SECRET: "dGVzdC1vbmx5LW9yaWdpbi1zZWNyZXQtMzItYnl0ZXM=",
    DB: {},
    USER_SESSIONS: {},
    COUNTERS: {},
    ORIGIN: {},
  };
  const parse = (variables: Record<string, unknown>) => parseConfig({ ...good, ...variables });

  test.each([
    ["SESSION_AUTH", "yes"],
    ["SESSION_SUNSET", "31.3.2027"],
    ["SESSION_SUNSET", "2027-13-45"],
    ["SESSION_SUNSET", 20270331],
    ["SESSION_VERIFY_URL", "http://app.example/session"],
    ["SESSION_VERIFY_URL", "https://user@app.example/"],
    ["SESSION_VERIFY_URL", "nowhere"],
    ["SESSION_BANNER", "x".repeat(501)],
    ["SESSION_LOGIN", "elsewhere"],
    ["JWT_ROLLOUT_PERCENT", "101"],
    ["JWT_ROLLOUT_ALLOW", "beta"],
    ["TRANSITION_FLUSH_SECONDS", "60"],
  ])("refuses %s = %s by name", (variable, value) => {
    const parsed = parse({ [variable]: value });
    expect(!parsed.ok && parsed.faults.map((fault) => fault.variable)).toEqual([variable]);
  });

  test("refuses a sunset before the deprecation", () => {
    const parsed = parse({ SESSION_SUNSET: "2027-01-01", SESSION_DEPRECATION: "2027-02-01" });
    expect(!parsed.ok && parsed.faults).toMatchObject([{ variable: "SESSION_SUNSET" }]);
  });

  test("reads dates, lists and addresses", () => {
    const parsed = parse({
      SESSION_SUNSET: "2027-03-31T12:00:00Z",
      SESSION_DEPRECATION: "2027-01-01",
      SESSION_VERIFY_URL: "http://127.0.0.1:9000/session?x=1",
      JWT_ROLLOUT_ALLOW: " role:beta , user:42,user:a b",
      JWT_ROLLOUT_PERCENT: "",
    });
    expect(parsed.ok).toBe(false);
    const right = parse({
      SESSION_SUNSET: "2027-03-31T12:00:00Z",
      SESSION_DEPRECATION: "2027-01-01",
      SESSION_VERIFY_URL: "http://127.0.0.1:9000/session?x=1",
      JWT_ROLLOUT_ALLOW: " role:beta , user:42,user:a b",
    });
    expect(right.ok && right.config.transition).toMatchObject({
      sunsetAt: Date.parse("2027-03-31T12:00:00Z"),
      deprecatedAt: Date.parse("2027-01-01"),
      rollout: { percent: 100, roles: ["beta"], users: ["42", "a b"] },
    });
    expect(parse({ JWT_ROLLOUT_ALLOW: "" }).ok).toBe(true);
  });
});
