// What grows with a deployment and must not make it slower: users in the database, sessions of one user, live counters;
// and the memory that a session takes. Each as a ratio to the smallest of its series, in one run.
import { setTimeout as sleep } from "node:timers/promises";
import { type Server, startServer } from "../server.ts";
import { freshAddress, loginRequest, loginScript, logIn, readTokens, refreshRequest, refreshScript } from "./client.ts";
import { type BenchFlags, isWanted } from "./flags.ts";
import { Connection, load, type Script } from "./http.ts";
import { median, quantile, round } from "./statistics.ts";

const USER_COUNTS = [10_000, 100_000, 1_000_000];
const FAMILY_COUNTS = [1, 10, 50];
const COUNTER_COUNTS = [1, 1000, 100_000];
/** As many as log in well within the 10 s after which an idle object leaves memory. */
const SESSION_USERS = 200;
/** An object keeps its files open until it has been idle for 10 s: faster, and a process runs out of descriptors. */
const FILLING_PER_SECOND = 400;
/** So that nothing but the account decides how many there are. */
const WIDE_LIMITS = { RATE_LIMIT_LOGIN: "1000/1", RATE_LIMIT_REFRESH: "1000/1" };

/** A step of a series: milliseconds per operation (p50 of one connection), and against the first step. */
export interface Step {
  readonly size: number;
  readonly p50Ms: number;
  readonly ratio: number;
}

export type Growth = Readonly<Record<string, readonly Step[] | number>>;

function steps(sizes: readonly number[], p50s: readonly (readonly number[])[]): Step[] {
  const first = median(p50s[0] ?? []);
  return sizes.map((size, i) => {
    const p50 = median(p50s[i] ?? []);
    return { size, p50Ms: round(p50, 3), ratio: round(p50 / first, 3) };
  });
}

interface Subject {
  readonly server: Server;
  readonly script: Script;
}

/** Measures the subjects in turn, round by round. */
async function inTurn(subjects: readonly Subject[], { rounds, seconds }: BenchFlags): Promise<number[][]> {
  const p50s = subjects.map((): number[] => []);
  for (let i = 0; i < rounds; i++) {
    for (const [index, { server, script }] of subjects.entries()) {
      const { latenciesMs } = await load(server.url, [script], seconds, 200);
      p50s[index]?.push(quantile(latenciesMs, 0.5));
    }
  }
  return p50s;
}

/** Login and refresh with more and more users in the database. */
async function byUsers(flags: BenchFlags): Promise<Growth> {
  const servers: Server[] = [];
  try {
    for (const users of USER_COUNTS) servers.push(await startServer({ users, variables: WIDE_LIMITS }));
    // All over the table, not its first rows over and over.
    const logins = servers.map((server, i) => {
      const users = USER_COUNTS[i] ?? 1;
      const spread = { user: 0 };
      const next = (): string => {
        spread.user = (spread.user + Math.floor(users / 1000) + 1) % users;
        return loginRequest(server, spread.user);
      };
      return { server, script: { next } };
    });
    const login = steps(USER_COUNTS, await inTurn(logins, flags));
    const refreshes: Subject[] = [];
    for (const server of servers) {
      const [tokens] = await logIn(server, 1, 2);
      if (tokens !== undefined) refreshes.push({ server, script: refreshScript(tokens, freshAddress()) });
    }
    const refresh = steps(USER_COUNTS, await inTurn(refreshes, flags));
    return { login_by_users: login, refresh_by_users: refresh };
  } finally {
    for (const server of servers) await server.stop();
  }
}

/** Refresh of a user with more and more sessions. */
async function byFamilies(flags: BenchFlags): Promise<Growth> {
  const server = await startServer({ users: 10, variables: WIDE_LIMITS });
  const connection = await Connection.open(server.url);
  try {
    const subjects: Subject[] = [];
    for (const [user, families] of FAMILY_COUNTS.entries()) {
      let body = "";
      for (let i = 0; i < families; i++) ({ body } = await connection.send(loginRequest(server, user)));
      subjects.push({ server, script: refreshScript(readTokens(body), freshAddress()) });
    }
    return { refresh_by_families: steps(FAMILY_COUNTS, await inTurn(subjects, flags)) };
  } finally {
    connection.close();
    await server.stop();
  }
}

/** Refused refreshes, each of which makes a counter for its address and nothing else. */
async function fillCounters(server: Server, counters: number): Promise<void> {
  const connection = await Connection.open(server.url);
  const startedAt = performance.now();
  try {
    for (let i = 0; i < counters; i++) {
      const aheadMs = (i * 1000) / FILLING_PER_SECOND - (performance.now() - startedAt);
      if (aheadMs > 0) await sleep(aheadMs);
      const { status, head } = await connection.send(refreshRequest("prt1_no-token"));
      if (status !== 401) throw new Error(`expected 401: ${head}`);
    }
  } finally {
    connection.close();
  }
}

/** Refresh beside more and more counters that still count. */
async function byCounters(flags: BenchFlags): Promise<Growth> {
  const server = await startServer({
    users: 10,
    variables: { ...WIDE_LIMITS, RATE_LIMIT_REFRESH: "1000/3600" },
  });
  const p50s: number[][] = [];
  try {
    let live = 1;
    for (const counters of COUNTER_COUNTS) {
      await fillCounters(server, counters - live);
      live = counters;
      const [tokens] = await logIn(server, 1, 2);
      // Each from a new address: what is looked at is the making of a counter among many.
      if (tokens !== undefined) p50s.push(...(await inTurn([{ server, script: refreshScript(tokens) }], flags)));
    }
    return { refresh_by_counters: steps(COUNTER_COUNTS, p50s) };
  } finally {
    await server.stop();
  }
}

/** Resident memory per user with a session, objects in memory. A login wakes the counters of address and account too. */
async function memory(): Promise<Growth> {
  const server = await startServer({ users: 2 * SESSION_USERS, variables: WIDE_LIMITS });
  try {
    // Argon2's memory and the compiled code are there from the first logins on.
    const logins = { user: 0 };
    await load(server.url, [loginScript(server, logins, SESSION_USERS)], 2, 200);
    const before = server.rssBytes();
    const tokens = await logIn(server, SESSION_USERS, 2 * SESSION_USERS);
    return { rss_bytes_per_login: Math.round((server.rssBytes() - before) / tokens.length) };
  } finally {
    await server.stop();
  }
}

const PARTS = { users: byUsers, families: byFamilies, counters: byCounters, memory } as const;

/** All that `--only` leaves in; prints as it goes. */
export async function measureGrowth(flags: BenchFlags): Promise<Growth> {
  const growth: Record<string, Growth[string]> = {};
  for (const [name, measure] of Object.entries(PARTS)) {
    if (!isWanted(flags, name)) continue;
    const found = await measure(flags);
    for (const [series, value] of Object.entries(found)) console.log(series, JSON.stringify(value));
    Object.assign(growth, found);
  }
  return growth;
}
