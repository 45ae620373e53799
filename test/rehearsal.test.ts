// The whole way out of sessions in one go, with the clock moved: every client that a team has, old and new, works every
// third day for more than ninety days while the settings change around it. `npm run rehearse` runs it and prints what
// each stage reports. A client is signed out when it is refused what it was allowed the time before.
import { env } from "cloudflare:workers";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import {
  cookieOf,
  createUser,
  Edge,
  type Overrides,
  PASSWORD,
  type Problem,
  type TestUser,
  type TokenResponse,
} from "./support.ts";

const START = Date.parse("2027-01-04T08:00:00Z");
const SUNSET = "2027-04-05";
const DAY_MS = 86_400_000;
const VERIFY_URL = "https://old-app.example/whoami";

const FIXED = {
  SESSION_AUTH: "on",
  SESSION_SUNSET: SUNSET,
  SESSION_DEPRECATION: "2027-03-08",
  SESSION_VERIFY_URL: VERIFY_URL,
  TRANSITION_FLUSH_SECONDS: "0",
  // As long as those of the old application: nobody has to log in again on the way.
  SESSION_MAX_SECONDS: "31536000",
};

type Method = "jwt" | "session";

/** What a stage did. */
interface Tally {
  readonly requests: Record<Method, number>;
  readonly signedOut: string[];
  readonly errors: string[];
}

let edges: readonly Edge[] = [];
let turn = 0;
let tally: Tally;
/** The edge a request reaches: another one each time, as with anycast. */
const anyEdge = (): Edge => {
  const edge = edges[turn++ % edges.length];
  if (edge === undefined) throw new Error("no stage has begun");
  return edge;
};

/** Sessions of the old application, by cookie. */
const oldStore = new Map<string, string>();

abstract class Client {
  readonly name: string;
  readonly user: TestUser;
  password = PASSWORD;
  cookie: string | null = null;

  constructor(name: string, user: TestUser) {
    this.name = name;
    this.user = user;
  }

  abstract work(): Promise<void>;

  protected get headers(): Record<string, string> {
    const agent = { "User-Agent": `${this.name}/1.0`, Origin: "http://127.0.0.1:8787" };
    return this.cookie === null ? agent : { ...agent, Cookie: `session_id=${this.cookie}` };
  }

  protected keepCookie(response: Response): void {
    this.cookie = cookieOf(response, "session_id") ?? this.cookie;
  }

  /** Calls the API, and notes as which kind of client the origin saw it. */
  protected async call(bearer?: string): Promise<Response> {
    const options = { json: { hello: "there" }, headers: this.headers };
    const response = await anyEdge().fetch("/api/echo", bearer === undefined ? options : { ...options, bearer });
    if (response.status !== 200) return response;
    const { headers } = await response.clone().json<{ headers: Record<string, string> }>();
    if (headers["x-user-id"] !== this.user.id) tally.errors.push(`${this.name}: was taken for somebody else`);
    tally.requests[headers["x-auth-method"] === "jwt" ? "jwt" : "session"] += 1;
    return response;
  }

  protected async signedOut(response: Response): Promise<void> {
    tally.signedOut.push(`${this.name}: ${(await response.json<Problem>()).code}`);
  }
}

/** Logs in at the old address once, and never changes. */
class OldBrowser extends Client {
  async work(): Promise<void> {
    if (this.cookie === null) await this.login();
    const response = await this.call();
    if (response.status !== 200) await this.signedOut(response);
  }

  async login(): Promise<void> {
    const json = { username: this.user.username, password: this.password };
    const response = await anyEdge().fetch("/api/login", { json, headers: this.headers });
    if (response.status === 200) this.keepCookie(response);
    else tally.errors.push(`${this.name}: login answered ${response.status}`);
  }
}

/** Logs in at the old address every time it runs. */
class OldScript extends OldBrowser {
  override async work(): Promise<void> {
    this.cookie = null;
    await super.work();
  }
}

/** Has a session that the old application made before Postern came. */
class OldAppUser extends OldBrowser {
  override async login(): Promise<void> {
    this.cookie = `old-${this.user.id}`;
    oldStore.set(this.cookie, this.user.username);
  }
}

/** Written for the change: takes what login gives, exchanges when it is told that it may, refreshes when it must. */
class NewApp extends Client {
  tokens: TokenResponse | null = null;

  async work(): Promise<void> {
    if (this.tokens === null && this.cookie === null) await this.login();
    let response = await this.call(this.tokens?.access_token);
    if (response.status === 401 && this.tokens !== null) {
      const { code } = await response.clone().json<Problem>();
      if (code === "token_expired" && (await this.refresh())) response = await this.call(this.tokens.access_token);
    }
    if (response.status !== 200) await this.signedOut(response);
    else if (this.tokens === null && response.headers.get("Postern-Upgrade") !== null) await this.exchange();
  }

  async login(): Promise<void> {
    const response = await anyEdge().login(this.user.username, this.password, { headers: this.headers });
    await this.take(response, "login");
  }

  async exchange(): Promise<void> {
    await this.take(await anyEdge().fetch("/auth/exchange", { method: "POST", headers: this.headers }), "exchange");
  }

  async refresh(): Promise<boolean> {
    const response = await anyEdge().refresh(this.tokens?.refresh_token ?? "", {
      "Idempotency-Key": crypto.randomUUID(),
    });
    await this.take(response, "refresh");
    return response.status === 200;
  }

  private async take(response: Response, step: string): Promise<void> {
    if (response.status !== 200) {
      tally.errors.push(`${this.name}: ${step} answered ${response.status} ${(await response.json<Problem>()).code}`);
      return;
    }
    this.keepCookie(response);
    const body = await response.json<TokenResponse>();
    if (body.token_type === "Bearer") this.tokens = body;
  }
}

const clients: Client[] = [];
const ofKind = <T extends Client>(kind: new (name: string, user: TestUser) => T): T[] =>
  clients.filter((client): client is T => client instanceof kind);

let day = 0;

/** Lets every client work every third day until `until`, under `settings`, and reports what happened. */
async function stage(title: string, until: number, settings: Overrides, task: { meta: object }): Promise<Tally> {
  edges = [new Edge({ ...FIXED, ...settings }), new Edge({ ...FIXED, ...settings })];
  tally = { requests: { jwt: 0, session: 0 }, signedOut: [], errors: [] };
  const from = day;
  for (; day < until; day += 3) {
    vi.setSystemTime(START + day * DAY_MS);
    for (const client of clients) await client.work();
  }
  // What was counted goes out when nobody is in a hurry.
  await scheduler.wait(20);
  const { jwt, session } = tally.requests;
  const report = { title, from, until, jwt, session, signedOut: tally.signedOut, errors: tally.errors };
  Object.assign(task.meta, { rehearsal: report });
  return tally;
}

const NOBODY = { signedOut: [], errors: [] };

beforeAll(async () => {
  vi.useFakeTimers({ toFake: ["Date"], now: START });
  vi.spyOn(globalThis, "fetch").mockImplementation(async (_input, init) => {
    const cookie = new Headers(init?.headers).get("Cookie")?.slice("session_id=".length) ?? "";
    const username = oldStore.get(cookie);
    return username === undefined ? new Response(null, { status: 404 }) : Response.json({ username });
  });
  for (let i = 0; i < 3; i++) clients.push(new NewApp(`beta-app-${i}`, await createUser({ role: "beta" })));
  for (let i = 0; i < 12; i++) clients.push(new NewApp(`new-app-${i}`, await createUser()));
  for (let i = 0; i < 4; i++) clients.push(new OldBrowser(`old-browser-${i}`, await createUser()));
  for (let i = 0; i < 2; i++) clients.push(new OldScript(`old-script-${i}`, await createUser()));
  for (let i = 0; i < 3; i++) clients.push(new OldAppUser(`old-app-user-${i}`, await createUser()));
});

afterAll(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

describe("a team leaves its sessions behind, and nobody is signed out", () => {
  const allow = { JWT_ROLLOUT_ALLOW: "role:beta" };

  test("Postern stands in front, everybody on sessions", async ({ task }) => {
    const { requests, ...rest } = await stage("before: sessions only", 6, { JWT_ROLLOUT_PERCENT: "0" }, task);
    expect(rest).toEqual(NOBODY);
    expect(requests.jwt).toBe(0);
  });

  test("week 1: the internal beta gets tokens, by its list", async ({ task }) => {
    const { requests, ...rest } = await stage(
      "week 1: internal beta",
      12,
      { ...allow, JWT_ROLLOUT_PERCENT: "0" },
      task,
    );
    expect(rest).toEqual(NOBODY);
    expect(requests.jwt).toBeGreaterThan(0);
    expect(ofKind(NewApp).filter(({ tokens }) => tokens !== null)).toHaveLength(3);
  });

  test("10 percent", async ({ task }) => {
    const { requests: _, ...rest } = await stage("10 %", 24, { ...allow, JWT_ROLLOUT_PERCENT: "10" }, task);
    expect(rest).toEqual(NOBODY);
  });

  test("50 percent", async ({ task }) => {
    const { requests: _, ...rest } = await stage("50 %", 36, { ...allow, JWT_ROLLOUT_PERCENT: "50" }, task);
    expect(rest).toEqual(NOBODY);
  });

  test("rollback to 0: tokens that are out go on, and an app that goes back finds its session", async ({ task }) => {
    const app = ofKind(NewApp).find(({ tokens, cookie }) => tokens !== null && cookie !== null);
    const before = ofKind(NewApp).filter(({ tokens }) => tokens !== null).length;
    if (app === undefined) throw new Error("nobody has exchanged a session");
    app.tokens = null;
    const { requests, ...rest } = await stage("rollback: 0 %", 42, { JWT_ROLLOUT_PERCENT: "0" }, task);
    expect(rest).toEqual(NOBODY);
    expect(requests.jwt).toBe((before - 1) * 2);
    expect(app.tokens).toBeNull();
  });

  test("50 percent again, and a password reset in the middle ends the sessions of that user and of nobody else", async ({
    task,
  }) => {
    const [victim] = ofKind(OldBrowser);
    if (victim === undefined) throw new Error("there are old browsers");
    const thief = victim.cookie;
    vi.setSystemTime(START + day * DAY_MS);
    edges = [new Edge({ ...FIXED })];
    const json = { username: victim.user.username, password: PASSWORD };
    const login = await anyEdge().fetch("/auth/login", { json });
    const { access_token: bearer } = await login.json<TokenResponse>();
    const changed = await anyEdge().fetch("/auth/password", {
      bearer,
      json: { current_password: PASSWORD, new_password: "a fresh start for this account" },
    });
    expect(changed.status).toBe(204);
    for (const path of ["/api/echo", "/auth/exchange"]) {
      const headers = { Cookie: `session_id=${thief}` };
      const refused = await new Edge(FIXED).fetch(path, { method: "POST", headers });
      expect(await refused.json<Problem>()).toMatchObject({ status: 401, code: "invalid_session" });
    }
    victim.cookie = null;
    victim.password = "a fresh start for this account";

    const { requests: _, ...rest } = await stage(
      "50 % again, a password reset",
      51,
      { ...allow, JWT_ROLLOUT_PERCENT: "50" },
      task,
    );
    expect(rest).toEqual(NOBODY);
  });

  test("100 percent: every new client has tokens", async ({ task }) => {
    const { requests: _, ...rest } = await stage("100 %", 63, { JWT_ROLLOUT_PERCENT: "100" }, task);
    expect(rest).toEqual(NOBODY);
    expect(ofKind(NewApp).every(({ tokens }) => tokens !== null)).toBe(true);
  });

  test("the deprecation is announced on every response to those who are left, and they are known by name", async ({
    task,
  }) => {
    const { requests: _, ...rest } = await stage("deprecation notice", 91, {}, task);
    expect(rest).toEqual(NOBODY);
    const [old] = ofKind(OldBrowser);
    const response = await anyEdge().fetch("/api/users", { headers: { Cookie: `session_id=${old?.cookie}` } });
    expect(response.headers.get("Deprecation")).toBe(`@${Date.parse("2027-03-08") / 1000}`);
    expect(Date.now()).toBeGreaterThan(Date.parse("2027-03-08"));
    const rows = await env.DB.prepare(
      `SELECT DISTINCT client FROM transition_figures WHERE credential = 'session' AND event = 'request' AND day > '2027-03-08' ORDER BY 1`,
    ).all<{ client: string }>();
    expect(rows.results.map(({ client }) => client.replace(/-\d+$/, ""))).not.toContain("new-app");
    expect(rows.results.map(({ client }) => client)).toContain("old-browser-0");
  });

  test("the sunset: whoever is left on a session is told where to go, and whoever has tokens does not notice", async ({
    task,
  }) => {
    for (const client of ofKind(OldScript)) clients.splice(clients.indexOf(client), 1);
    const { signedOut, errors, requests } = await stage("sunset", 94, {}, task);
    const left = ofKind(OldBrowser).length;
    expect(signedOut).toHaveLength(left);
    expect(signedOut.every((line) => line.endsWith("session_auth_removed"))).toBe(true);
    expect(errors).toEqual([]);
    expect(requests).toEqual({ jwt: ofKind(NewApp).length, session: 0 });
  });

  test("and even the sunset can be put off: the sessions were not deleted", async ({ task }) => {
    day = 95;
    const { requests, ...rest } = await stage("sunset put off", 96, { SESSION_SUNSET: "2027-06-30" }, task);
    expect(rest).toEqual(NOBODY);
    expect(requests.session).toBe(ofKind(OldBrowser).length);
  });
});
