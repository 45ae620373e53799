// Credential stuffing, simulated: many addresses with a list of names and passwords, some of them right, against the
// Worker's own fetch with its real counters. Passwords are compared and not hashed, so that guesses can be counted by the
// thousand; time is set, a minute a round. Scale it with
//   VITE_STUFFING_ADDRESSES=1000 VITE_STUFFING_NAMES=10000 VITE_STUFFING_MINUTES=10 npx vitest run test/stuffing.test.ts
import { evictAllDurableObjects } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Account, Accounts, Credentials } from "../src/accounts/accounts.ts";
import { createApp } from "../src/app.ts";
import { fail, ok } from "../src/kit/result.ts";
import { createServices, readConfig, runtime } from "../src/services.ts";
import { uuidV7 } from "../src/kit/encoding.ts";

declare global {
  interface ImportMeta {
    /** Vitest passes on what begins with VITE_. */
    readonly env: Readonly<Record<string, string | undefined>>;
  }
}

const MINUTE_MS = 60_000;
const PER_ADDRESS_AND_MINUTE = 10;
const WRONG = "stolen elsewhere, and wrong here";

function setting(name: string, fallback: number): number {
  return Number(import.meta.env[`VITE_STUFFING_${name}`] ?? fallback);
}

const ADDRESSES = setting("ADDRESSES", 60);
const NAMES = setting("NAMES", 100);
const MINUTES = setting("MINUTES", 2);
const AT_A_TIME = 100;
/** One name in so many has the stolen password. */
const RIGHT_EVERY = 25;

const passwordOf = (name: string): string => `the password of ${name}, and of nothing else`;

/** A Postern whose users have the names given, and which notes every guess it compares. */
function posternOf(names: readonly string[]) {
  const parsed = readConfig(env);
  if (!parsed.ok) throw new Error("the tests' own configuration is bad");
  const users = new Map<string, Account>(
    names.map((username) => [
      username,
      { id: uuidV7(runtime.now(), runtime.randomBytes(10)), username, role: "user", status: "active", revision: 1 },
    ]),
  );
  const compared = { byName: new Map<string, number>(), byAddress: new Map<string, number>() };
  const bump = (counts: Map<string, number>, key: string): void => void counts.set(key, (counts.get(key) ?? 0) + 1);

  const services = createServices(parsed.config, env);
  const accounts: Accounts = {
    ...services.accounts,
    lookup: (username) => {
      const account = users.get(username);
      return Promise.resolve(ok<Credentials | null>(account === undefined ? null : { account, passwordHash: "" }));
    },
    authenticate: async (found, password) => {
      // The password says by whom and on what name it is tried: "address|name|password".
      const [address = "", name = "", secret = ""] = password.split("|");
      bump(compared.byAddress, address);
      bump(compared.byName, name);
      return found !== null && secret === passwordOf(name) ? ok(found.account) : fail({ code: "invalid_credentials" });
    },
  };
  const app = createApp({ ...services, accounts });
  const login = async (address: string, name: string, secret: string): Promise<Response> =>
    app.fetch(
      new Request("http://127.0.0.1:8787/auth/login", {
        method: "POST",
        headers: { "Content-Type": "application/json", "CF-Connecting-IP": address },
        body: JSON.stringify({ username: name, password: `${address}|${name}|${secret}` }),
      }),
    );
  return { login, compared };
}

const most = (counts: ReadonlyMap<string, number>): number => Math.max(0, ...counts.values());
/** Sends a wave of requests, so many at a time; an open object holds files open, and they are not without end. */
async function inTurn(count: number, send: (index: number) => Promise<Response>): Promise<Response[]> {
  const responses: Response[] = [];
  for (let from = 0; from < count; from += AT_A_TIME) {
    const chunk = Array.from({ length: Math.min(AT_A_TIME, count - from) }, (_, i) => send(from + i));
    responses.push(...(await Promise.all(chunk)));
    if (count > AT_A_TIME) await evictAllDurableObjects();
  }
  return responses;
}

const sum = (counts: ReadonlyMap<string, number>): number => [...counts.values()].reduce((a, b) => a + b, 0);
const botAddress = (i: number): string => `10.${i >> 16}.${(i >> 8) & 0xff}.${i & 0xff}`;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
});
afterEach(() => {
  vi.useRealTimers();
});

describe("credential stuffing", () => {
  test(
    `by ${ADDRESSES} addresses over ${NAMES} names gets ten guesses per address and minute, and no name more than its quota`,
    async () => {
      const names = Array.from({ length: NAMES }, (_, i) => `user-${i}`);
      const { login, compared } = posternOf(names.filter((_, i) => i % 4 !== 0));
      let broken = 0;
      let next = 0;
      for (let minute = 0; minute < MINUTES; minute++) {
        for (let turn = 0; turn < PER_ADDRESS_AND_MINUTE + 2; turn++) {
          const wave = await inTurn(ADDRESSES, (bot) => {
            const name = names[next++ % NAMES] ?? "";
            const right = (next - 1) % RIGHT_EVERY === 1;
            return login(botAddress(bot), name, right ? passwordOf(name) : WRONG);
          });
          broken += wave.filter((response) => response.status === 200).length;
        }
        vi.setSystemTime(Date.now() + MINUTE_MS);
      }
      console.log(
        `stuffing, ${MINUTES} min: ${sum(compared.byName)} guesses compared of ${next} sent; ` +
          `at most ${most(compared.byAddress)} per address, ${most(compared.byName)} per name; ` +
          `${broken} logins with a right password`,
      );
      expect(most(compared.byAddress)).toBe(PER_ADDRESS_AND_MINUTE * MINUTES);
      expect(most(compared.byName)).toBeLessThanOrEqual(100 + MINUTES * 6);
    },
    setting("TIMEOUT_MS", 60_000),
  );

  test(
    `of one account by ${ADDRESSES} addresses gets its quota and then a trickle, and its user is never kept out at home`,
    async () => {
      const victim = "victim";
      const { login, compared } = posternOf([victim]);
      const home = "192.0.2.10";
      expect((await login(home, victim, passwordOf(victim))).status).toBe(200);
      vi.setSystemTime(Date.now() + MINUTE_MS);
      const atHome: number[] = [];
      let abroad = 0;
      for (let minute = 0; minute < MINUTES; minute++) {
        for (let turn = 0; turn < PER_ADDRESS_AND_MINUTE; turn++) {
          await inTurn(ADDRESSES, (bot) => login(botAddress(70_000 + bot), victim, WRONG));
          atHome.push((await login(home, victim, turn % 2 === 0 ? passwordOf(victim) : "a slip of the hand")).status);
          // Addresses never seen are up against the attackers for the next guess that is let through. Tried once a minute.
          if (turn === 9 && (await login(`192.0.3.${minute}`, victim, passwordOf(victim))).status === 200) abroad++;
          vi.setSystemTime(Date.now() + MINUTE_MS / PER_ADDRESS_AND_MINUTE);
        }
      }
      const byBots = [...compared.byAddress].filter(([address]) => address.startsWith("10."));
      const guesses = byBots.reduce((total, [, count]) => total + count, 0);
      console.log(
        `one account, ${MINUTES} min: ${guesses} guesses compared of ${ADDRESSES * MINUTES * PER_ADDRESS_AND_MINUTE} sent, ` +
          `at most ${Math.max(...byBots.map(([, count]) => count))} per address; at home ` +
          `${atHome.filter((status) => status !== 429).length} of ${atHome.length} let through, from addresses never ` +
          `seen ${abroad} of ${MINUTES}`,
      );
      expect(Math.max(...byBots.map(([, count]) => count))).toBeLessThanOrEqual(5);
      // The quota, six short gaps, then one a minute.
      expect(guesses).toBeLessThanOrEqual(100 + 6 + MINUTES);
      expect(new Set(atHome)).toEqual(new Set([200, 401]));
    },
    setting("TIMEOUT_MS", 60_000),
  );
});
