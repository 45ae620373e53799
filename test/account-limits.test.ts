import { evictDurableObject, listDurableObjectIds, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, test, vi } from "vitest";
import type { AttemptWindows } from "../src/limits/attempts.ts";
import type { Window } from "../src/limits/window.ts";
import { counting, createUser, Edge, freshAddress, loggedIn, type Overrides, PASSWORD, problemOf } from "./support.ts";

const edge = new Edge();
/** An edge whose limit per address is out of the way. */
const roomy = (overrides: Overrides = {}) => new Edge({ RATE_LIMIT_LOGIN: "1000/60", ...overrides });
const WRONG = "not the password at all";

const limitOf = (response: Response): string => response.headers.get("RateLimit") ?? "";
const codeOf = async (response: Response): Promise<string> => (await problemOf(response)).code;

const databaseAway = {
  withSession: () => ({
    prepare: () => ({ bind: () => ({ first: () => Promise.reject(new Error("away")) }) }),
  }),
};

let lastIpv4 = 0;
function freshIpv4(): string {
  lastIpv4 += 1;
  return `198.18.${lastIpv4 >> 8}.${lastIpv4 & 0xff}`;
}

/** Lets `ms` pass for everybody's clock, which then stands still. */
function pass(ms: number): void {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + ms });
}

/** Wrong guesses at `username`, one after the other; their statuses. */
async function guesses(target: Edge, username: string, address: string, count: number): Promise<number[]> {
  const statuses: number[] = [];
  for (let i = 0; i < count; i++) statuses.push((await target.login(username, WRONG, { address })).status);
  return statuses;
}

afterEach(() => {
  vi.useRealTimers();
});

describe("failed logins from one address at one account", () => {
  test("are five in a quarter of an hour; the sixth is refused and told when to come back", async () => {
    const user = await createUser();
    const address = freshAddress();
    for (let left = 4; left >= 0; left--) {
      const response = await edge.login(user.username, WRONG, { address });
      expect(response.status).toBe(401);
      expect(response.headers.get("RateLimit-Policy")).toBe('"account-address";q=5;w=900');
      expect(limitOf(response)).toMatch(new RegExp(`^"account-address";r=${left};t=\\d+$`));
    }
    const refused = await edge.login(user.username, PASSWORD, { address });
    expect(refused.status).toBe(429);
    expect(await codeOf(refused)).toBe("too_many_attempts");
    const retryAfter = Number(refused.headers.get("Retry-After"));
    expect(limitOf(refused)).toBe(`"account-address";r=0;t=${retryAfter}`);
    expect(retryAfter).toBeGreaterThan(890);
    expect(retryAfter).toBeLessThanOrEqual(900);

    expect((await edge.login(user.username)).status).toBe(200);
    expect((await edge.login((await createUser()).username, PASSWORD, { address })).status).toBe(200);

    pass(retryAfter * 1000);
    expect((await edge.login(user.username, PASSWORD, { address })).status).toBe(200);
  });

  test("start anew with the right password, whose answer shows the limit of the address", async () => {
    const user = await createUser();
    const address = freshAddress();
    const target = roomy();
    for (let round = 0; round < 3; round++) {
      expect(await guesses(target, user.username, address, 4)).toEqual([401, 401, 401, 401]);
      const right = await target.login(user.username, PASSWORD, { address });
      expect(right.status).toBe(200);
      expect(limitOf(right)).toMatch(/^"login";/);
    }
  });

  test("are as many for a name that does not exist, in the same words and headers", async () => {
    const user = await createUser();
    const seen = async (username: string) => {
      const address = freshAddress();
      const answers: unknown[] = [];
      for (let i = 0; i < 7; i++) {
        const response = await edge.login(username, WRONG, { address });
        const { code, status, title, type } = await problemOf(response);
        answers.push([limitOf(response).replace(/;t=.*/, ""), response.headers.get("RateLimit-Policy")]);
        answers.push([code, status, title, type]);
      }
      return answers;
    };
    const [known, unknown] = await Promise.all([seen(user.username), seen("nobody-of-that-name-either")]);
    expect(unknown).toEqual(known);
    expect(JSON.stringify(unknown)).toContain("too_many_attempts");
  });

  test("count for every spelling of the name", async () => {
    const address = freshAddress();
    await createUser({ username: "Grüße" });
    for (const spelling of ["Grüße", "GRÜSSE", "grüsse", "gru\u0308ße", "GRÜßE"]) {
      expect((await edge.login(spelling, WRONG, { address })).status).toBe(401);
    }
    expect((await edge.login("Grüße", PASSWORD, { address })).status).toBe(429);
  });

  test("cannot slip past each other: of forty at once, at two edges, five are hashed", async () => {
    const user = await createUser();
    const address = freshIpv4();
    const edges = [roomy(), roomy()];
    const responses = await Promise.all(
      Array.from({ length: 40 }, (_, i) => (edges[i % 2] ?? edge).login(user.username, WRONG, { address })),
    );
    expect(responses.filter((response) => response.status === 401)).toHaveLength(5);
    expect(responses.filter((response) => response.status === 429)).toHaveLength(35);
  });

  test("do not stand in the way of right ones: eight at once from one address all get in", async () => {
    const user = await createUser();
    const address = freshAddress();
    const responses = await Promise.all(
      Array.from({ length: 8 }, () => edge.login(user.username, PASSWORD, { address })),
    );
    expect(responses.map((response) => response.status)).toEqual(Array(8).fill(200));
  });

  test("are not forgotten when the object leaves memory", async () => {
    const address = freshAddress();
    await guesses(edge, "evicted-name", address, 5);
    for (const id of await listDurableObjectIds(env.COUNTERS)) await evictDurableObject(env.COUNTERS.get(id));
    expect(await guesses(new Edge(), "evicted-name", address, 1)).toEqual([429]);
  });

  test("also count where a password is to be changed, together with logins", async () => {
    const user = await loggedIn(edge);
    const address = freshAddress();
    const change = (current: string) =>
      edge.fetch("/auth/password", {
        bearer: user.tokens.access_token,
        address,
        json: { current_password: current, new_password: "another quite long password" },
      });
    for (let i = 0; i < 3; i++) expect((await change(WRONG)).status).toBe(401);
    expect(await guesses(edge, user.username, address, 2)).toEqual([401, 401]);
    const refused = await change(PASSWORD);
    expect(refused.status).toBe(429);
    expect(await codeOf(refused)).toBe("too_many_attempts");
    expect(limitOf(refused)).toMatch(/^"account-address";r=0;/);
  });
});

describe("failed logins at one account from everywhere", () => {
  const attacked = () => roomy({ RATE_LIMIT_ACCOUNT: "20/3600" });

  test("are slowed down beyond the quota, by an interval that grows, and only ever delayed", async () => {
    const user = await createUser();
    const target = attacked();
    pass(0);
    for (let i = 0; i < 20; i++) expect(await guesses(target, user.username, freshIpv4(), 1)).toEqual([401]);
    const waits: number[] = [];
    for (let i = 0; i < 8; i++) {
      const address = freshIpv4();
      const refused = await target.login(user.username, PASSWORD, { address });
      expect(refused.status).toBe(429);
      expect(await codeOf(refused)).toBe("too_many_attempts");
      expect(refused.headers.get("RateLimit-Policy")).toBe('"account";q=20;w=3600');
      waits.push(Number(refused.headers.get("Retry-After")));
      pass(Number(refused.headers.get("Retry-After")) * 1000);
      expect(await guesses(target, user.username, address, 1)).toEqual([401]);
    }
    expect(waits).toEqual([1, 2, 4, 8, 16, 32, 60, 60]);
  });

  test("do not keep the user out who logged in from the same address before, while hundreds attack", async () => {
    const user = await createUser();
    const target = attacked();
    const home = freshAddress();
    pass(0);
    expect((await target.login(user.username, PASSWORD, { address: home })).status).toBe(200);
    for (let wave = 0; wave < 4; wave++) {
      const bots = await Promise.all(
        Array.from({ length: 75 }, () => target.login(user.username, WRONG, { address: freshIpv4() })),
      );
      expect(bots.filter((response) => response.status === 401)).toHaveLength(wave === 0 ? 20 : 0);
      expect((await target.login(user.username, PASSWORD, { address: freshIpv4() })).status).toBe(429);
      expect((await target.login(user.username, PASSWORD, { address: home })).status).toBe(200);
    }
  });
});

describe("an IPv6 client", () => {
  test("that takes another /64 for every request meets the limit of its /48, ten times that of a /64", async () => {
    const target = new Edge({ RATE_LIMIT_LOGIN: "2/60" });
    const at = (network: string, subnet: number) =>
      target.login(`name-${subnet}`, WRONG, { address: `2001:db8:${network}:${subnet.toString(16)}::1` });
    for (let subnet = 0; subnet < 20; subnet++) expect((await at("aaaa", subnet)).status).toBe(401);
    const refused = await at("aaaa", 20);
    expect(refused.status).toBe(429);
    expect(await codeOf(refused)).toBe("rate_limited");
    expect(refused.headers.get("RateLimit-Policy")).toBe('"login-network";q=20;w=60');
    expect((await at("aaab", 21)).status).toBe(401);
    pass(Number(refused.headers.get("Retry-After")) * 1000);
    expect((await at("aaaa", 22)).status).toBe(401);
  });
});

describe("what guesses cost", () => {
  const counted = (overrides: Overrides = {}) => {
    const counters = counting(env.COUNTERS, ["getByName"]);
    const database = counting(env.DB, ["withSession"]);
    const target = new Edge({ COUNTERS: counters.proxy, DB: database.proxy, ...overrides });
    return { target, calls: () => [counters.calls(), database.calls()] };
  };

  test("a login asks two counters, from IPv6 three, and reads D1 once", async () => {
    for (const [address, asked] of [
      [freshIpv4(), 2],
      [freshAddress(), 3],
    ] as const) {
      const { target, calls } = counted();
      await target.login("somebody", WRONG, { address });
      expect(calls()).toEqual([asked, 1]);
    }
  });

  test("a login does not wait for its refund, nor fail with it", async () => {
    const user = await createUser();
    const refunds: string[] = [];
    const COUNTERS = {
      getByName: (name: string) => {
        const stub = env.COUNTERS.getByName(name);
        return {
          hit: (window: Window) => stub.hit(window),
          attempt: (from: string, windows: AttemptWindows) => stub.attempt(from, windows),
          succeeded: () => {
            refunds.push(name);
            return new Promise((_, reject) => setTimeout(() => reject(new Error("lost")), 50));
          },
        };
      },
    };
    const target = roomy({ COUNTERS });
    const address = freshAddress();
    // A lost refund leaves its guess charged: that errs on the safe side.
    for (let i = 0; i < 5; i++) {
      expect((await target.login(user.username, PASSWORD, { address })).status).toBe(200);
      expect(refunds).toHaveLength(i + 1);
    }
    expect((await target.login(user.username, PASSWORD, { address })).status).toBe(429);
    expect(refunds[0]).not.toContain(user.username);
  });

  test("a flood from one address costs no counter and no D1 once denied", async () => {
    const { target, calls } = counted({ RATE_LIMIT_LOGIN: "3/60" });
    const address = freshAddress();
    for (let i = 0; i < 4; i++) await target.login(`flooded-${i}`, WRONG, { address });
    const before = calls();
    for (let i = 0; i < 50; i++) {
      expect((await target.login(`flooded-${i}`, WRONG, { address })).status).toBe(429);
    }
    expect(calls()).toEqual(before);
    pass(60_001);
    expect((await target.login("flooded", WRONG, { address })).status).toBe(401);
  });

  test("nor does one at an account that is refused, until the refusal ends; another address is not refused with it", async () => {
    const { target, calls } = counted({ RATE_LIMIT_LOGIN: "1000/60" });
    const address = freshIpv4();
    await guesses(target, "refused", address, 6);
    const before = calls();
    expect(await guesses(target, "refused", address, 50)).toEqual(Array(50).fill(429));
    expect(calls()).toEqual(before);
    expect(await guesses(target, "refused", freshIpv4(), 1)).toEqual([401]);
    pass(900_000);
    expect(await guesses(target, "refused", address, 1)).toEqual([401]);
  });

  test.each([
    ["because D1 is away", roomy({ DB: databaseAway }), 503],
    ["because their address is over its limit", null, 429],
  ])("guesses that were not made %s are not charged", async (_, blind, status) => {
    const user = await createUser();
    const address = freshIpv4();
    // An edge of its own each time, which remembers no denial.
    const refusing = () => blind ?? new Edge({ RATE_LIMIT_LOGIN: "1/60" });
    await roomy().fetch("/auth/login", { address, json: { username: "another", password: WRONG } });
    for (let i = 0; i < 6; i++) expect(await guesses(refusing(), user.username, address, 1)).toEqual([status]);
    await vi.waitFor(async () => {
      const response = await roomy().login(user.username, WRONG, { address });
      const right = await roomy().login(user.username, PASSWORD, { address });
      expect(right.status).toBe(200);
      expect(limitOf(response)).toMatch(/^"account-address";r=4;/);
    });
  });

  test("leave nothing behind when their hour is over; a user's addresses stay for thirty days", async () => {
    const user = await createUser();
    const names: string[] = [];
    const COUNTERS = {
      getByName: (name: string) => {
        names.push(name);
        return env.COUNTERS.getByName(name);
      },
    };
    const target = new Edge({ COUNTERS });
    await target.login("nobody-at-all", WRONG);
    await target.login(user.username);
    const [unknown = "", known = ""] = new Set(names.filter((name) => name.startsWith("account ")));
    const rows = async (name: string): Promise<number> => {
      const stub = env.COUNTERS.getByName(name);
      await runDurableObjectAlarm(stub);
      return runInDurableObject(stub, async (_, state) => (await state.storage.list()).size);
    };
    expect([await rows(unknown), await rows(known)]).toEqual([1, 1]);
    pass(3_600_001);
    expect([await rows(unknown), await rows(known)]).toEqual([0, 1]);
    pass(30 * 86_400_000);
    expect(await rows(known)).toBe(0);
  });
});

describe("the outer fence, where it is bound", () => {
  test("refuses before anything is counted, and is not asked again until the refusal ends", async () => {
    const keys: string[] = [];
    const ADDRESS_FENCE = {
      limit: ({ key }: { key: string }) => {
        keys.push(key);
        return Promise.resolve({ success: keys.length === 1 });
      },
    };
    const counters = counting(env.COUNTERS, ["getByName"]);
    const target = new Edge({ ADDRESS_FENCE, COUNTERS: counters.proxy });
    const address = freshIpv4();
    expect(await guesses(target, "fenced", address, 1)).toEqual([401]);
    const before = counters.calls();
    const refused = await target.login("fenced", WRONG, { address });
    expect(refused.status).toBe(429);
    expect(refused.headers.get("Retry-After")).toBe("60");
    expect(await guesses(target, "fenced", address, 5)).toEqual(Array(5).fill(429));
    expect(keys).toEqual(Array(2).fill(`login ${address}`));
    expect(counters.calls()).toBe(before);
  });

  test("lets through when it fails", async () => {
    const ADDRESS_FENCE = { limit: () => Promise.reject(new Error("away")) };
    expect((await new Edge({ ADDRESS_FENCE }).login((await createUser()).username)).status).toBe(200);
  });
});
