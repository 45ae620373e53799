import { describe, expect, test, vi } from "vitest";
import { createUser, Edge, loggedIn, PASSWORD } from "./support.ts";

const edge = new Edge({
  SESSION_AUTH: "on",
  SESSION_SUNSET: "2030-01-01",
  JWT_ROLLOUT_PERCENT: "50",
  TRANSITION_FLUSH_SECONDS: "1",
});

interface Users {
  readonly users: readonly { readonly user_id: string; readonly username: string; readonly last_seen_at: string }[];
  readonly next_cursor: string | null;
}

describe("/admin/transition", () => {
  test("shows the share by credential and who is still on sessions, as JSON and as CSV, to administrators", async () => {
    const { tokens } = await loggedIn(new Edge(), "admin");
    const bearer = tokens.access_token;
    const users = [];
    for (let i = 0; i < 3; i++) {
      const user = await createUser();
      users.push(user);
      await edge.fetch("/api/login", { json: { username: user.username, password: PASSWORD } });
    }
    const page = async (query: string) =>
      (await edge.fetch(`/admin/transition/users?${query}`, { bearer })).json<Users>();
    await vi.waitFor(async () => expect((await page("")).users).toHaveLength(3));
    const first = await page("limit=2");
    expect(first.users).toHaveLength(2);
    const second = await page(`limit=2&cursor=${first.next_cursor}`);
    expect([...first.users, ...second.users].map((user) => user.user_id)).toEqual(
      users.map((user) => user.id).toSorted((a, b) => (a < b ? -1 : 1)),
    );
    const csv = await edge.fetch("/admin/transition/users?format=csv&limit=2", { bearer });
    expect(csv.headers.get("Content-Type")).toBe("text/csv; charset=utf-8");
    expect(csv.headers.get("Link")).toContain('rel="next"');
    expect((await csv.text()).split("\r\n")[0]).toBe("user_id,username,role,sessions,last_seen_at");

    await vi.waitFor(
      async () => {
        const response = await edge.fetch("/admin/transition?days=7", { bearer });
        expect(await response.json()).toMatchObject({
          sunset: "2030-01-01T00:00:00.000Z",
          rollout_percent: 50,
          days: [{ jwt_logins: 0 }],
        });
      },
      { timeout: 5000 },
    );
    expect((await edge.fetch("/admin/transition?days=0", { bearer })).status).toBe(400);
    expect((await edge.fetch("/admin/transition/users?limit=x", { bearer })).status).toBe(400);
    expect((await edge.fetch("/admin/transition")).status).toBe(401);
  });

  test("says that there is nothing to move where there are no sessions", async () => {
    const { tokens } = await loggedIn(new Edge(), "admin");
    const off = new Edge();
    const bearer = tokens.access_token;
    expect(await (await off.fetch("/admin/transition", { bearer })).json()).toEqual({
      sunset: null,
      rollout_percent: 100,
      days: [],
      figures: [],
    });
    expect(await (await off.fetch("/admin/transition/users", { bearer })).json()).toEqual({
      users: [],
      next_cursor: null,
    });
  });
});
