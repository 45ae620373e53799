// Two edges, one truth: what edge A has answered holds at edge B. Requests are hammered through B while A logs out (or
// an operator changes the role, or disables the user); not one that *began* after the answer may be let through.
// `npm run test:edges` is the long form: EDGE_ROUNDS rounds per lease length and kind of change, EDGE_SEED to repeat one.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Edges, PASSWORD, startEdges } from "./edges.ts";

const isLong = process.env["EDGE_ROUNDS"] !== undefined;
const ROUNDS = Number(process.env["EDGE_ROUNDS"] ?? 8);
const SEED = Number(process.env["EDGE_SEED"] ?? Date.now() % 1_000_000);
const LEASES_SECONDS = isLong ? [0, 2, 5] : [0, 2];
const CONCURRENT_ROUNDS = 8;
const HAMMERS = 3;
const HAMMER_AFTER_MS = 150;

/** Mulberry32: small, seeded, good enough to vary timings. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const sleep = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

interface Seen {
  readonly startedAt: number;
  readonly status: number;
  readonly role: string | null;
}

let rounds = 0;

interface Session {
  readonly userId: string;
  readonly bearer: string;
}

async function login(edges: Edges): Promise<Session> {
  rounds += 1;
  const username = `round-${rounds}`;
  const { id } = await edges.createUser(username);
  const response = await fetch(new URL("/auth/login", edges.a), {
    method: "POST",
    headers: { "Content-Type": "application/json", "CF-Connecting-IP": `2001:db8:${rounds.toString(16)}::1` },
    body: JSON.stringify({ username, password: PASSWORD }),
  });
  if (response.status !== 200) throw new Error(`login: ${response.status} ${await response.text()}`);
  const { access_token: bearer } = (await response.json()) as { access_token: string };
  return { userId: id, bearer };
}

/** Hammers edge B until `change` has answered and a little longer; returns all that was seen, and when it answered. */
async function hammer(edges: Edges, bearer: string, beforeMs: number, change: () => Promise<Response>) {
  const seen: Seen[] = [];
  const request = async (): Promise<void> => {
    const startedAt = performance.now();
    const response = await fetch(new URL("/api/x", edges.b), { headers: { Authorization: `Bearer ${bearer}` } });
    const { role = null } = (await response.json()) as { role?: string };
    seen.push({ startedAt, status: response.status, role });
  };
  const over = new AbortController();
  const hammers = Promise.all(
    Array.from({ length: HAMMERS }, async () => {
      while (!over.signal.aborted) await request();
    }),
  );
  const changing = async () => {
    await sleep(beforeMs);
    const response = await change();
    const answeredAt = performance.now();
    await sleep(HAMMER_AFTER_MS);
    // One for certain, however slow the machine.
    await request();
    over.abort();
    return { status: response.status, answeredAt };
  };
  const [{ status, answeredAt }] = await Promise.all([changing(), hammers]);
  return {
    status,
    before: seen.filter((s) => s.startedAt <= answeredAt),
    after: seen.filter((s) => s.startedAt > answeredAt),
  };
}

type Change = "logout" | "role" | "disable";

function apply(edges: Edges, change: Change, { userId, bearer }: Session, random: () => number): Promise<Response> {
  if (change === "logout") {
    const address = `2001:db8:ffff:${Math.floor(random() * 65_536).toString(16)}::1`;
    return fetch(new URL("/auth/logout", edges.a), {
      method: "POST",
      headers: { Authorization: `Bearer ${bearer}`, "CF-Connecting-IP": address },
    });
  }
  const account = change === "role" ? { role: "admin", status: "active" } : { role: "user", status: "disabled" };
  return fetch(edges.operator, { method: "POST", body: JSON.stringify({ userId, revision: 2, ...account }) });
}

describe.each(LEASES_SECONDS)("with leases of %i s", (leaseSeconds) => {
  let edges: Edges;

  beforeAll(async () => {
    edges = await startEdges({ REVOCATION_LEASE_SECONDS: String(leaseSeconds) });
  });
  afterAll(async () => edges.stop());

  test(
    "lets all of several first requests of a session in at once",
    async () => {
      let remaining = ROUNDS;
      const statuses: number[] = [];
      await Promise.all(
        Array.from({ length: CONCURRENT_ROUNDS }, async () => {
          while (remaining > 0) {
            remaining -= 1;
            const { bearer } = await login(edges);
            const first = async () => {
              const response = await fetch(new URL("/api/x", edges.b), {
                headers: { Authorization: `Bearer ${bearer}` },
              });
              await response.arrayBuffer();
              statuses.push(response.status);
            };
            await Promise.all(Array.from({ length: HAMMERS }, first));
          }
        }),
      );
      expect(statuses.filter((status) => status !== 200)).toEqual([]);
    },
    isLong ? 600_000 : 60_000,
  );

  test.each<Change>(["logout", "role", "disable"])(
    `a %s that was answered at one edge holds at the other (seed ${SEED})`,
    async (change) => {
      const random = randomOf(SEED + leaseSeconds);
      let remaining = ROUNDS;
      let letThroughBefore = 0;
      const round = async () => {
        const session = await login(edges);
        const beforeMs = random() * (leaseSeconds * 500 + 200);
        const { status, before, after } = await hammer(edges, session.bearer, beforeMs, () =>
          apply(edges, change, session, random),
        );
        expect(status).toBe(204);
        letThroughBefore += before.filter((s) => s.status === 200).length;
        expect(after.length).toBeGreaterThan(0);
        const wrong = after.filter((s) => (change === "role" ? s.role !== "admin" : s.status !== 401));
        expect(wrong).toEqual([]);
      };
      await Promise.all(
        Array.from({ length: CONCURRENT_ROUNDS }, async () => {
          while (remaining > 0) {
            remaining -= 1;
            await round();
          }
        }),
      );
      expect(letThroughBefore).toBeGreaterThan(0);
    },
    isLong ? 3_600_000 : 120_000,
  );
});
