// Whether an account exists, and whether it is disabled, must not show in what a wrong password is answered: not in the
// words, not in the headers, not in the work. Work is counted and not timed; the timing is printed for the curious.
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, test } from "vitest";
import { createAccounts } from "../src/accounts/accounts.ts";
import { createImportedHashes } from "../src/accounts/imported-hash.ts";
import { createPasswordHasher, type PasswordHasher } from "../src/accounts/password-hash.ts";
import { createApp } from "../src/app.ts";
import { createServices, readConfig, runtime } from "../src/services.ts";
import { counting, createUser, freshAddress } from "./support.ts";

const WRONG = "not the password at all";
const ROUNDS = 15;
/** Who asked, and how much of which limit is left, is for the asker's own eyes. */
const PERSONAL_HEADERS = new Set(["x-request-id", "ratelimit", "date"]);

/** What a login is made of, counted: password hashes, D1 queries, calls of counters and of session objects. */
function instrumented() {
  const hasher = createPasswordHasher(runtime);
  const work: string[] = [];
  const counted: PasswordHasher = {
    hash: (password) => {
      work.push("hash");
      return hasher.hash(password);
    },
    verify: (phc, password) => {
      work.push("verify");
      return hasher.verify(phc, password);
    },
    pretend: (password) => {
      work.push("verify");
      hasher.pretend(password);
    },
  };
  const counters = counting(env.COUNTERS, ["getByName"]);
  const objects = counting(env.USER_SESSIONS, ["getByName"]);
  const database = counting(env.DB, ["withSession", "prepare"]);
  const proxies = { COUNTERS: counters.proxy, USER_SESSIONS: objects.proxy, DB: database.proxy };
  const bindings = { ...env, ...proxies, RATE_LIMIT_ACCOUNT: "1000/3600" };
  const parsed = readConfig(bindings);
  if (!parsed.ok) throw new Error("the tests' own configuration is bad");
  const services = createServices(parsed.config, bindings);
  const hashes = createImportedHashes({
    argon2: counted,
    scrypt: () => Promise.reject(new Error("no such hash here")),
    pause: () => Promise.resolve(),
  });
  const accounts = createAccounts(database.proxy, counted, hashes, runtime);
  const app = createApp({ ...services, accounts });
  return {
    workSoFar: () => ({
      hashes: work.length,
      counters: counters.calls(),
      objects: objects.calls(),
      database: database.calls(),
    }),
    login: (username: string) =>
      app.fetch(
        new Request("http://127.0.0.1:8787/auth/login", {
          method: "POST",
          headers: { "Content-Type": "application/json", "CF-Connecting-IP": freshAddress() },
          body: JSON.stringify({ username, password: WRONG }),
        }),
      ),
  };
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0;
}

interface Observation {
  readonly status: number;
  readonly body: unknown;
  readonly headers: readonly (readonly [string, string])[];
  readonly work: Readonly<Record<string, number>>;
}

describe("a wrong password", () => {
  const postern = instrumented();
  const observed = new Map<string, Observation[]>();
  const times = new Map<string, number[]>();

  beforeAll(async () => {
    const names = {
      "an unknown name": "nobody-of-that-name",
      "an account": (await createUser()).username,
      "a disabled account": (await createUser({ status: "disabled" })).username,
    };
    await postern.login("to warm up");
    for (let round = 0; round < ROUNDS; round++) {
      for (const [kind, name] of Object.entries(names)) {
        const before = postern.workSoFar();
        const begun = performance.now();
        const response = await postern.login(name);
        times.set(kind, [...(times.get(kind) ?? []), performance.now() - begun]);
        const after = postern.workSoFar();
        const { request_id, ...body } = await response.json<{ request_id: string }>();
        expect(request_id).toBe(response.headers.get("X-Request-Id"));
        const observation: Observation = {
          status: response.status,
          body,
          headers: [...response.headers].filter(([header]) => !PERSONAL_HEADERS.has(header)),
          work: {
            hashes: after.hashes - before.hashes,
            counters: after.counters - before.counters,
            objects: after.objects - before.objects,
            database: after.database - before.database,
          },
        };
        observed.set(kind, [...(observed.get(kind) ?? []), observation]);
      }
    }
    const medians = [...times].map(([kind, values]) => [kind, median(values)] as const);
    const reference = medians[0]?.[1] ?? 1;
    for (const [kind, value] of medians) {
      console.log(`${kind}: median ${value.toFixed(1)} ms, ${(value / reference).toFixed(2)} of an unknown name's`);
    }
  });

  test("is answered with the same status, body and headers whether the account exists, is disabled, or neither", () => {
    const [unknown, account, disabled] = [...observed.values()].map((all) =>
      all.map(({ status, body, headers }) => ({ status, body, headers })),
    );
    expect(unknown?.[0]).toMatchObject({ status: 401, body: { code: "invalid_credentials" } });
    expect(unknown).toHaveLength(ROUNDS);
    expect(account).toEqual(unknown);
    expect(disabled).toEqual(unknown);
  });

  test("costs exactly the same work: one hash, three counters, one query", () => {
    for (const observations of observed.values()) {
      for (const { work } of observations) {
        expect(work).toEqual({ hashes: 1, counters: 3, objects: 0, database: 1 });
      }
    }
  });
});
