// The figures by which a team decides to go on: counted in memory, summed up in D1.
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, test, vi } from "vitest";
import { readConfig, runtime, createServices } from "../src/services.ts";
import { createFigures, type Sum } from "../src/transition/figures.ts";
import { usersCsv } from "../src/transition/report.ts";
import { cookieOf, counting, createUser, Edge, loggedIn, type Overrides, PASSWORD } from "./support.ts";

const ON = { SESSION_AUTH: "on", SESSION_SUNSET: "2099-01-01", TRANSITION_FLUSH_SECONDS: "0" };
const edgeWith = (overrides: Overrides = {}) => new Edge({ ...ON, ...overrides });
const edge = edgeWith();

/** What a door will be handed. */
function reportOf(overrides: Overrides = {}) {
  const bindings = { ...env, ...ON, ...overrides };
  const parsed = readConfig(bindings);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.faults));
  const { transition } = createServices(parsed.config, bindings);
  if (transition === null) throw new Error("sessions are on");
  return transition;
}

const report = reportOf().report;

async function sessionOf(username: string, agent: string): Promise<string> {
  const headers = { "User-Agent": agent };
  const response = await edge.fetch("/api/login", { json: { username, password: PASSWORD }, headers });
  return `session_id=${cookieOf(response, "session_id")}`;
}

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

describe("the figures", () => {
  test("count accepted logins, exchanges and requests by client and credential, and nothing refused", async () => {
    const agent = "counted-app/2.1 (test)";
    const headers = { "User-Agent": agent };
    const user = await createUser();
    const cookie = await sessionOf(user.username, agent);
    for (let i = 0; i < 3; i++) await edge.fetch("/api/users", { headers: { ...headers, Cookie: cookie } });
    await edge.fetch("/api/users", { headers: { ...headers, Cookie: "session_id=nobody" } });
    const exchanged = await edge.fetch("/auth/exchange", { method: "POST", headers: { ...headers, Cookie: cookie } });
    const { access_token: bearer } = await exchanged.json<{ access_token: string }>();
    for (let i = 0; i < 2; i++) await edge.fetch("/api/users", { bearer, headers });
    await edge.fetch("/api/users", { bearer: "nonsense", headers });
    await edge.login(user.username, PASSWORD, { headers });
    await edgeWith({ JWT_ROLLOUT_PERCENT: "0" }).login(user.username, PASSWORD, { headers });
    await vi.waitFor(async () => {
      const summary = await report.summary(1);
      const figures = summary.ok ? summary.value.figures.filter(({ client }) => client === "counted-app") : [];
      const day = new Date().toISOString().slice(0, 10);
      expect(figures).toEqual([
        { day, client: "counted-app", credential: "jwt", logins: 1, exchanges: 1, requests: 2 },
        { day, client: "counted-app", credential: "session", logins: 2, exchanges: 0, requests: 3 },
      ]);
    });
  });

  test("give the share of each credential per day, newest first, and null where there is nothing to share", async () => {
    await report.add(
      [
        ["2001-02-03", "curl", "jwt", "request", 30],
        ["2001-02-03", "curl", "session", "request", 10],
        ["2001-02-03", "curl", "session", "request", 20],
        ["2001-02-02", "curl", "session", "login", 4],
      ],
      [],
      0,
    );
    vi.useFakeTimers({ toFake: ["Date"], now: Date.parse("2001-02-03T12:00:00Z") });
    const summary = await report.summary(2);
    expect(summary.ok && summary.value.days.filter(({ day }) => day < "2002")).toEqual([
      { day: "2001-02-03", jwtRequests: 0.5, jwtLogins: null },
      { day: "2001-02-02", jwtRequests: null, jwtLogins: 0 },
    ]);
  });

  test("cost the hot path nothing: no call beyond the one write per batch", async () => {
    const database = counting(env.DB, ["prepare", "withSession", "batch", "exec"]);
    const slow = edgeWith({ DB: database.proxy, TRANSITION_FLUSH_SECONDS: "20" });
    const { tokens } = await loggedIn(slow);
    await slow.users(tokens.access_token);
    const before = database.calls();
    for (let i = 0; i < 50; i++) await slow.users(tokens.access_token);
    expect(database.calls()).toBe(before);
  });

  test("are written once per batch, at most 50 kinds of client by name", async () => {
    const batches: (readonly Sum[])[] = [];
    let wake: () => void = () => undefined;
    const figures = createFigures(async (sums) => batches.push(sums), 10_000, {
      ...runtime,
      sleep: () => new Promise((resolve) => (wake = resolve)),
    });
    for (let i = 0; i < 60; i++) figures.count("request", "jwt", `app${i}/1.0`);
    for (let i = 0; i < 5; i++) figures.count("request", "jwt", "app3/1.0");
    wake();
    await vi.waitFor(() => expect(batches).toHaveLength(1));
    const [sums = []] = batches;
    expect(sums).toHaveLength(51);
    expect(sums.find(([, client]) => client === "other")?.[4]).toBe(10);
    expect(sums.find(([, client]) => client === "app3")?.[4]).toBe(6);
    figures.count("request", "jwt", undefined);
    wake();
    await vi.waitFor(() => expect(batches[1]?.[0]?.[1]).toBe("unknown"));
  });

  test("are lost, and nothing else is, when D1 refuses them", async () => {
    const logged = vi.spyOn(console, "error").mockImplementation(() => undefined);
    const transition = reportOf({
      DB: { prepare: () => ({ bind: () => ({}) }), batch: () => Promise.reject(new Error("D1 is away")) },
    });
    await transition.report.add([["2001-01-01", "curl", "jwt", "login", 1]], [], 0);
    expect(String(logged.mock.calls[0]?.[0])).toContain("D1 is away");
    for (const read of [transition.report.summary(1), transition.report.usersOnSessions(null, 10)]) {
      expect((await read).ok).toBe(false);
    }
  });
});

describe("the users still on sessions", () => {
  const listed = async (id: string) => {
    const users = await report.usersOnSessions(null, 1000);
    return users.ok ? users.value.find((user) => user.user_id === id) : undefined;
  };

  test("are those who used one and have not exchanged it since", async () => {
    const user = await createUser({ role: "editor" });
    await sessionOf(user.username, "a/1");
    const cookie = await sessionOf(user.username, "b/1");
    expect(await listed(user.id)).toMatchObject({ username: user.username, role: "editor", sessions: 2 });
    const done = await createUser();
    const theirs = await sessionOf(done.username, "c/1");
    expect(await listed(done.id)).toBeDefined();
    await edge.fetch("/auth/exchange", { method: "POST", headers: { Cookie: theirs } });
    expect(await listed(done.id)).toBeUndefined();
    expect((await edge.fetch("/api/logout", { method: "POST", headers: { Cookie: cookie } })).status).toBe(204);
    expect(await listed(user.id)).toMatchObject({ sessions: 1 });
  });

  test("were seen when they were last there, to the hour", async () => {
    const user = await createUser();
    const cookie = await sessionOf(user.username, "a/1");
    const later = Date.now() + 5 * 3_600_000;
    vi.useFakeTimers({ toFake: ["Date"], now: later });
    await edge.fetch("/api/users", { headers: { Cookie: cookie } });
    // Waiting moves the clock a little.
    await vi.waitFor(async () => expect((await listed(user.id))?.last_seen_at).toBeGreaterThanOrEqual(later));
    const seenAt = (await listed(user.id))?.last_seen_at;
    vi.setSystemTime(later + 60_000);
    await edge.fetch("/api/users", { headers: { Cookie: cookie } });
    await scheduler.wait(20);
    expect((await listed(user.id))?.last_seen_at).toBe(seenAt);
    vi.setSystemTime(later + 8 * 86_400_000);
    expect(await listed(user.id)).toBeUndefined();
  });

  test("come by pages, and as CSV that no spreadsheet executes", async () => {
    const all = await report.usersOnSessions(null, 1000);
    const users = all.ok ? all.value : [];
    const first = await report.usersOnSessions(null, 1);
    expect(first).toEqual({ ok: true, value: users.slice(0, 1) });
    expect(await report.usersOnSessions(users[0]?.user_id ?? null, 1000)).toEqual({ ok: true, value: users.slice(1) });
    const user = { user_id: "1", role: null, sessions: 2, last_seen_at: 0 };
    expect(
      usersCsv([
        { ...user, username: '=HYPERLINK("x")' },
        { ...user, username: "a,b" },
      ]),
    ).toBe(
      "user_id,username,role,sessions,last_seen_at\r\n" +
        `1,"'=HYPERLINK(""x"")",,2,1970-01-01T00:00:00.000Z\r\n` +
        `1,"a,b",,2,1970-01-01T00:00:00.000Z\r\n`,
    );
  });

  test("are forgotten with their sessions once these have expired", async () => {
    const user = await createUser();
    await sessionOf(user.username, "a/1");
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 91 * 86_400_000 });
    await reportOf().legacy.sweep();
    vi.useRealTimers();
    const rows = await env.DB.prepare("SELECT 1 FROM legacy_sessions WHERE user_id = ?").bind(user.id).all();
    expect(rows.results).toEqual([]);
  });
});
