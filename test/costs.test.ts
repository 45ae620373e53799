// What each operation costs, exactly: calls, rows, alarms, signatures, hashes. The table is scripts/capacity/counts.json,
// from which docs/capacity.md computes bills; `npm run capacity -- --measure` writes it anew.
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import counts from "../scripts/capacity/counts.json";
import { type Costs, Ledger } from "./costs/ledger.ts";
import {
  cookieOf,
  createUser,
  Edge,
  freshAddress,
  loggedIn,
  PASSWORD,
  type RequestOptions,
  type TestUser,
  type TokenResponse,
} from "./support.ts";

const TRANSITION = { SESSION_AUTH: "on", SESSION_SUNSET: "2027-03-31", TRANSITION_FLUSH_SECONDS: "0" };

/** REVOCATION_LEASE_SECONDS as it is by default. */
const LEASE_MS = 2_000;

let ledger: Ledger;
let edge: Edge;
let stranger: TestUser;
let ipv4 = 0;

function freshIpv4(): string {
  ipv4 += 1;
  return `198.51.100.${ipv4}`;
}

beforeEach(async () => {
  ledger = new Ledger();
  await ledger.watch();
  edge = new Edge({ ...ledger.overrides, SERVER_TIMING: "on" });
  // The keys are in memory, as they are in every isolate but one that has just started.
  await loggedIn(edge);
});

afterEach(() => {
  vi.restoreAllMocks();
});

interface Scene {
  readonly user: TestUser;
  readonly tokens: TokenResponse;
  readonly cookie: string;
}

interface Operation {
  readonly overrides?: Readonly<Record<string, string>>;
  /** Sets the scene beyond a user who has logged in once; not counted. */
  readonly before?: (at: Edge, scene: Scene) => Promise<unknown>;
  readonly request: (at: Edge, scene: Scene) => Promise<Response>;
  readonly status?: number;
  readonly role?: string;
}

const users = (at: Edge, { tokens }: Scene) => at.users(tokens.access_token);
const login = (options: () => RequestOptions, password = PASSWORD) => ({
  request: (at: Edge, { user }: Scene) => at.login(user.username, password, options()),
});
const withCookie = (path: string, options: RequestOptions = {}) => ({
  overrides: TRANSITION,
  request: (at: Edge, { cookie }: Scene) => at.fetch(path, { ...options, headers: { Cookie: cookie } }),
});
const get = (path: string) => ({
  request: (at: Edge, { tokens }: Scene) => at.fetch(path, { bearer: tokens.access_token }),
});

const OPERATIONS: Readonly<Record<string, Operation>> = {
  "authorised, warm": { before: users, request: users },
  "authorised, first of a lease": { request: users },
  "authorised, next lease within 30 s": {
    before: async (at, scene) => {
      await users(at, scene);
      await scheduler.wait(LEASE_MS);
    },
    request: users,
  },
  refresh: { request: (at, { tokens }) => at.refresh(tokens.refresh_token) },
  "login, IPv4": login(() => ({ address: freshIpv4() })),
  "login, IPv6": login(() => ({ address: freshAddress() })),
  "login, a user's first": {
    before: async () => (stranger = await createUser()),
    request: (at) => at.login(stranger.username, PASSWORD, { address: freshIpv4() }),
  },
  "login, wrong password": { ...login(() => ({ address: freshIpv4() }), "not the password at all"), status: 401 },
  logout: { before: users, request: (at, { tokens }) => at.logout(tokens.access_token), status: 204 },
  "logout, all sessions": {
    before: users,
    request: (at, { tokens }) => at.fetch("/auth/logout/all", { method: "POST", bearer: tokens.access_token }),
    status: 204,
  },
  "own sessions": { before: users, ...get("/auth/sessions") },
  "admin: a page of users": {
    before: async (at, scene) => {
      for (let i = 0; i < 25; i++) await createUser({ passwordHash: "none" });
      return users(at, scene);
    },
    ...get("/admin/users?limit=20"),
    role: "admin",
  },
  "cookie: login": {
    overrides: TRANSITION,
    request: (at, { user }) =>
      at.fetch("/api/login", { json: { username: user.username, password: PASSWORD }, address: freshIpv4() }),
  },
  "cookie: request, first at an isolate": withCookie("/api/users"),
  "cookie: request, warm": { before: withCookie("/api/users").request, ...withCookie("/api/users") },
  "cookie: exchange for tokens": withCookie("/auth/exchange", { method: "POST" }),
};

/** A user who has logged in once, by a token or, in a transition, by a cookie too. */
async function sceneAt(at: Edge, { role = "user", overrides }: Operation): Promise<Scene> {
  const { tokens, ...user } = await loggedIn(at, role);
  if (overrides === undefined) return { user, tokens, cookie: "" };
  const response = await at.fetch("/api/login", { json: { username: user.username, password: PASSWORD } });
  return { user, tokens, cookie: `session_id=${cookieOf(response, "session_id")}` };
}

async function measured(operation: Operation): Promise<{ costs: Costs; response: Response }> {
  const at = new Edge({ ...ledger.overrides, SERVER_TIMING: "on", ...operation.overrides });
  const scene = await sceneAt(at, operation);
  // What setting the scene left to be done is done: none of it may be counted below.
  await ledger.of(async () => operation.before?.(at, scene));
  let response = new Response();
  const costs = await ledger.of(async () => {
    response = await operation.request(at, scene);
    await response.clone().arrayBuffer();
  });
  return { costs, response };
}

/** What `Server-Timing` says. */
function metered(response: Response): Record<string, number> {
  const field = response.headers.get("Server-Timing") ?? "";
  return Object.fromEntries([...field.matchAll(/(\w+);desc="(\d+)"/g)].map(([, name = "", n]) => [name, Number(n)]));
}

const table: Record<string, Costs> = {};

describe("costs exactly what is written down, and the meter says so too", () => {
  test.each(Object.entries(OPERATIONS))("%s", async (name, operation) => {
    const { costs, response } = await measured(operation);
    expect(response.status).toBe(operation.status ?? 200);
    table[name] = costs;
    const { objects, d1, sign, verify, hash } = costs;
    expect(metered(response)).toEqual({ objects, d1, sign, verify, hash });
  });

  test("the cron, when there is nothing to do", async () => {
    await ledger.of(() => edge.maintain());
    // Whatever there is to prune is another matter: here the trail is empty.
    await env.DB.prepare("DELETE FROM audit_events").run();
    const costs = await ledger.of(() => edge.maintain());
    table["cron, idle"] = costs;
    expect(costs).toMatchObject({ objects: 0, sign: 0, hash: 0, d1RowsWritten: 0 });
  });
});

test("the table is the one that bills are computed from", async () => {
  const user = await loggedIn(edge);
  const size = (_: unknown, { storage }: DurableObjectState) => storage.sql.databaseSize;
  const bytes = {
    sessionsOfOneUser: await runInDurableObject(env.USER_SESSIONS.getByName(user.id), size),
  };
  const text = `${JSON.stringify({ bytes, operations: table }, null, 2)}\n`;
  await expect(text).toMatchFileSnapshot("../scripts/capacity/counts.json");
});

describe("stays within the budget", () => {
  const BUDGET = {
    "authorised, warm": { objects: 0, d1: 0, sign: 0, verify: 0, hash: 0 },
    "authorised, first of a lease": { objects: 1, d1: 0, sign: 0, verify: 1, hash: 0 },
    refresh: { objects: 2, d1: 0, sign: 1, verify: 0, hash: 0 },
    "login, IPv4": { objects: 3, d1: 1, sign: 1, verify: 0, hash: 1 },
    "login, IPv6": { objects: 4, d1: 1, sign: 1, verify: 0, hash: 1 },
    // One of the two calls is the limit of the endpoint; the bearer token is in memory already.
    logout: { objects: 2, d1: 0, sign: 0, verify: 0, hash: 0 },
  } as const;
  test.each(Object.keys(BUDGET) as (keyof typeof BUDGET)[])("%s", (name) => {
    expect(counts.operations[name]).toMatchObject(BUDGET[name]);
  });
});
