// What is known of a request afterwards: its log line, its data point, its Server-Timing. No secret in any of them.
import { afterEach, describe, expect, test, vi } from "vitest";
import { createUser, Edge, freshAddress, loggedIn, PASSWORD } from "./support.ts";

interface Line {
  readonly event: string;
  readonly [field: string]: unknown;
}

/** The request lines that were logged while `work` ran, as text and parsed. */
async function logged(work: () => Promise<unknown>): Promise<{ text: string; lines: Line[] }> {
  const spy = vi.spyOn(console, "log").mockImplementation(() => undefined);
  await work();
  const texts = spy.mock.calls.map(([line]) => String(line));
  spy.mockRestore();
  return { text: texts.join("\n"), lines: texts.map((line) => JSON.parse(line) as Line) };
}

/** `objects;desc="2"` and its neighbours as numbers. */
function costsOf(response: Response): Record<string, number> {
  const field = response.headers.get("Server-Timing") ?? "";
  return Object.fromEntries([...field.matchAll(/(\w+);desc="(\d+)"/g)].map(([, name = "", n]) => [name, Number(n)]));
}

afterEach(() => {
  vi.restoreAllMocks();
});

describe("every request leaves one line in the log", () => {
  test("with who made it, what matched, how it was answered, and what it cost", async () => {
    const edge = new Edge();
    const { id, tokens } = await loggedIn(edge);
    const { lines } = await logged(() => edge.fetch("/api/users?secret=1", { bearer: tokens.access_token }));
    expect(lines).toEqual([
      {
        event: "request",
        requestId: expect.any(String),
        method: "GET",
        route: "/api/*",
        status: 200,
        userId: id,
        ms: expect.any(Number),
        objects: 1,
        d1: 0,
        sign: 0,
        verify: 1,
        hash: 0,
      },
    ]);
  });

  test("with the code of a refusal, and nobody's id while nobody is known", async () => {
    const edge = new Edge();
    const { lines } = await logged(() => edge.fetch("/api/users"));
    expect(lines[0]).toMatchObject({ route: "/api/*", status: 401, userId: null, code: "missing_token" });
  });

  test("with no route when nothing matched", async () => {
    const { lines } = await logged(() => new Edge().fetch("/no/such/person@example.com"));
    expect(lines[0]).toMatchObject({ route: null, status: 404, code: "not_found" });
  });

  test("with the pattern of an endpoint, never the path", async () => {
    const edge = new Edge();
    const { tokens } = await loggedIn(edge);
    const path = `/auth/sessions/${tokens.session_id}`;
    const { text, lines } = await logged(() => edge.fetch(path, { method: "DELETE", bearer: tokens.access_token }));
    expect(lines[0]).toMatchObject({ route: "/auth/sessions/:id", status: 204 });
    expect(text).not.toContain(tokens.session_id);
  });

  test("with the user of a login, right or wrong, and of a refresh", async () => {
    const edge = new Edge();
    const { id, username } = await createUser();
    const right = await logged(() => edge.login(username));
    expect(right.lines[0]).toMatchObject({ userId: id, status: 200 });
    const wrong = await logged(() => edge.login(username, "not the password at all"));
    expect(wrong.lines[0]).toMatchObject({ userId: id, status: 401, code: "invalid_credentials" });
    const tokens = await (await edge.login(username)).json<{ refresh_token: string }>();
    const refreshed = await logged(() => edge.refresh(tokens.refresh_token));
    expect(refreshed.lines[0]).toMatchObject({ userId: id, route: "/auth/refresh" });
  });

  test("without password, token, address or query", async () => {
    const edge = new Edge();
    const { username } = await createUser();
    const address = freshAddress();
    const { text } = await logged(async () => {
      const login = await edge.login(username, PASSWORD, { address });
      const tokens = await login.json<{ access_token: string; refresh_token: string }>();
      await edge.fetch("/api/users?token=query-secret", { bearer: tokens.access_token, address });
      await edge.refresh(tokens.refresh_token);
    });
    expect(text.split("\n")).toHaveLength(3);
    for (const secret of [PASSWORD, "eyJ", "prt1_", address, "query-secret", username]) {
      expect(text).not.toContain(secret);
    }
  });

  test.each([
    ["failed", [401]],
    ["off", []],
  ])("unless LOG_REQUESTS=%s says otherwise", async (value, expected) => {
    const edge = new Edge({ LOG_REQUESTS: value });
    const { lines } = await logged(async () => {
      await edge.fetch("/healthz");
      await edge.fetch("/api/users");
    });
    expect(lines.map(({ status }) => status)).toEqual(expected);
  });
});

describe("Server-Timing", () => {
  test("is absent unless it is asked for", async () => {
    const response = await new Edge().fetch("/healthz");
    expect(response.headers.has("Server-Timing")).toBe(false);
  });

  test("tells what each operation of the design costs", async () => {
    const edge = new Edge({ SERVER_TIMING: "on", RATE_LIMIT_AUTH: "1000/60" });
    const { username } = await createUser();
    const warmUp = await loggedIn(edge);
    expect(warmUp.tokens.token_type).toBe("Bearer");
    const costs = (objects: number, d1: number, sign: number, verify: number, hash: number) => ({
      objects,
      d1,
      sign,
      verify,
      hash,
    });
    const login = await edge.login(username, PASSWORD, { address: "192.0.2.77" });
    expect(costsOf(login)).toEqual(costs(3, 1, 1, 0, 1));
    const wide = await edge.login(username, PASSWORD, { address: "2001:db8:ffff::1" });
    expect(costsOf(wide)).toEqual(costs(4, 1, 1, 0, 1));
    const tokens = await login.json<{ access_token: string; refresh_token: string }>();
    expect(costsOf(await edge.users(tokens.access_token))).toEqual(costs(1, 0, 0, 1, 0));
    expect(costsOf(await edge.users(tokens.access_token))).toEqual(costs(0, 0, 0, 0, 0));
    const refreshed = await edge.refresh(tokens.refresh_token);
    expect(costsOf(refreshed)).toEqual(costs(2, 0, 1, 0, 0));
    const next = await refreshed.json<{ access_token: string }>();
    expect(costsOf(await edge.logout(next.access_token))).toEqual(costs(2, 0, 0, 1, 0));
    expect(login.headers.get("Server-Timing")).toMatch(/^total;dur=\d+, objects;desc="3"/);
  });

  test("counts requests that run at the same time apart", async () => {
    const edge = new Edge({ SERVER_TIMING: "on" });
    const { tokens } = await loggedIn(edge);
    await edge.users(tokens.access_token);
    const others = await Promise.all(Array.from({ length: 5 }, () => createUser()));
    const [warm, ...logins] = await Promise.all([
      edge.users(tokens.access_token),
      ...others.map(({ username }) => edge.login(username, PASSWORD, { address: `198.51.100.${others.length}` })),
    ]);
    expect(warm && costsOf(warm)["objects"]).toBe(0);
    expect(logins.map((login) => costsOf(login)["objects"])).toEqual([3, 3, 3, 3, 3]);
  });
});

test("a data point per request goes to EVENTS where it is bound", async () => {
  const points: unknown[] = [];
  const edge = new Edge({ EVENTS: { writeDataPoint: (point: unknown) => points.push(point) } });
  await edge.fetch("/api/users");
  expect(points).toEqual([
    {
      indexes: ["/api/*"],
      blobs: ["/api/*", "GET", "401", "missing_token"],
      doubles: [expect.any(Number), 0, 0, 0, 0, 0],
    },
  ]);
});
