import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, test, vi } from "vitest";
import { uuidV7 } from "../src/kit/encoding.ts";
import {
  createUser,
  Edge,
  freshAddress,
  loggedIn,
  PASSWORD,
  problemOf,
  type RequestOptions,
  type TokenResponse,
} from "./support.ts";

const edge = new Edge();

interface User {
  readonly id: string;
  readonly username: string;
  readonly role: string;
  readonly status: string;
  readonly created_at: string;
  readonly updated_at: string;
}

interface AuditPage {
  readonly events: readonly {
    readonly id: string;
    readonly at: string;
    readonly event: string;
    readonly user_id: string | null;
    readonly actor_id: string | null;
    readonly request_id: string;
    readonly detail: Record<string, unknown>;
  }[];
  readonly next_cursor: string | null;
}

let adminId: string;
let bearer: string;

beforeAll(async () => {
  const admin = await loggedIn(edge, "admin");
  adminId = admin.id;
  bearer = admin.tokens.access_token;
});

const call = (path: string, options: RequestOptions = {}) => edge.fetch(path, { bearer, ...options });

const audited = async (query: string): Promise<AuditPage["events"]> =>
  (await (await call(`/admin/audit?${query}`)).json<AuditPage>()).events;

describe("the admin door", () => {
  test("lets nobody in without the role, and counts who knocks", async () => {
    const { tokens } = await loggedIn(edge);
    for (const path of ["/admin/users", "/admin/keys", "/admin/audit", `/admin/users/${adminId}`]) {
      const refused = await edge.fetch(path, { bearer: tokens.access_token });
      expect(refused.status).toBe(403);
      expect((await problemOf(refused)).code).toBe("insufficient_role");
    }
    const address = freshAddress();
    const statuses = [];
    for (let i = 0; i < 11; i++) statuses.push((await edge.fetch("/admin/users", { address })).status);
    expect(statuses).toEqual([...Array<number>(10).fill(401), 429]);
  });
});

describe("/admin/users", () => {
  test("creates a user who can log in, and says so in the trail", async () => {
    const response = await call("/admin/users", {
      json: { username: "made-by-admin", password: PASSWORD, role: "ops" },
    });
    expect(response.status).toBe(201);
    const user = await response.json<User>();
    expect(user).toMatchObject({ username: "made-by-admin", role: "ops", status: "active" });
    expect((await edge.login("made-by-admin")).status).toBe(200);
    const again = await call("/admin/users", { json: { username: "MADE-by-admin", password: PASSWORD } });
    expect((await problemOf(again)).code).toBe("username_taken");
    await vi.waitFor(async () => {
      const [event] = await audited(`user=${user.id}&event=user.created`);
      expect(event).toMatchObject({ actor_id: adminId, detail: { username: "made-by-admin" } });
    });
  });

  test.each([
    [{ username: "x", password: "short" }, 422],
    [{ username: "", password: PASSWORD }, 400],
    [{ username: "y", password: PASSWORD, role: "No Role" }, 400],
  ])("refuses to create %j", async (json, status) => {
    expect((await call("/admin/users", { json })).status).toBe(status);
  });

  test("lists by page, name, role and status", async () => {
    for (let i = 0; i < 5; i++)
      await createUser({
        username: `listed-${i}`,
        role: i < 3 ? "lister" : "user",
        status: i === 0 ? "disabled" : "active",
      });
    const names: string[] = [];
    let cursor: string | null = "";
    while (cursor !== null) {
      const query: string = `query=LISTED-&limit=2${cursor === "" ? "" : `&cursor=${cursor}`}`;
      const page: { users: User[]; next_cursor: string | null } = await (await call(`/admin/users?${query}`)).json();
      expect(page.users.length).toBeLessThanOrEqual(2);
      names.push(...page.users.map((user) => user.username));
      cursor = page.next_cursor;
    }
    expect(names).toEqual(["listed-0", "listed-1", "listed-2", "listed-3", "listed-4"]);
    const count = async (query: string) =>
      (await (await call(`/admin/users?${query}`)).json<{ users: User[] }>()).users.length;
    expect(await count("role=lister")).toBe(3);
    expect(await count("role=lister&status=active")).toBe(2);
    expect(await count("query=listed-9")).toBe(0);
  });

  test.each(["limit=0", "limit=201", "limit=x", "cursor=x", "status=asleep"])(
    "refuses the parameter %s",
    async (query) => {
      const response = await call(`/admin/users?${query}`);
      expect(response.status).toBe(400);
      expect((await problemOf(response)).errors).toHaveLength(1);
    },
  );

  test("shows one user, never a hash", async () => {
    const response = await call(`/admin/users/${adminId}`);
    const text = await response.text();
    expect(text).toContain(adminId);
    expect(text).not.toContain("argon2");
    for (const id of ["x", "0198c0de-0000-7000-8000-000000000000"])
      expect((await call(`/admin/users/${id}`)).status).toBe(404);
  });
});

describe("PATCH /admin/users/{id}", () => {
  const change = (id: string, json: unknown) => call(`/admin/users/${id}`, { method: "PATCH", json });

  test("changes the role at every edge before it answers, with before and after in the trail", async () => {
    const other = new Edge();
    const user = await loggedIn(edge);
    expect((await other.users(user.tokens.access_token)).status).toBe(200);
    const response = await change(user.id, { role: "ops" });
    expect(await response.json()).toMatchObject({ id: user.id, role: "ops" });
    for (const at of [edge, other]) {
      const me = await at.fetch("/auth/me", { bearer: user.tokens.access_token });
      expect(await me.json()).toMatchObject({ role: "ops" });
    }
    await vi.waitFor(async () => {
      const [event] = await audited(`user=${user.id}&event=user.changed`);
      expect(event).toMatchObject({
        actor_id: adminId,
        detail: { before: { role: "user" }, after: { role: "ops" }, passwordSet: false },
      });
    });
  });

  test("disables: sessions end, login is refused; enables: login works again, old sessions stay ended", async () => {
    const user = await loggedIn(edge);
    expect((await change(user.id, { status: "disabled" })).status).toBe(200);
    expect((await problemOf(await edge.users(user.tokens.access_token))).code).toBe("token_revoked");
    expect((await problemOf(await edge.login(user.username))).code).toBe("account_disabled");
    expect((await change(user.id, { status: "active" })).status).toBe(200);
    expect((await problemOf(await edge.refresh(user.tokens.refresh_token))).code).toBe("session_revoked");
    expect((await edge.login(user.username)).status).toBe(200);
  });

  test("sets a password, which ends every session", async () => {
    const user = await loggedIn(edge);
    const NEW = "a password that the admin made up";
    expect((await change(user.id, { password: NEW })).status).toBe(200);
    expect((await problemOf(await edge.users(user.tokens.access_token))).code).toBe("token_revoked");
    expect((await edge.login(user.username, NEW)).status).toBe(200);
    expect((await change(user.id, { password: "short" })).status).toBe(422);
  });

  test("refuses what changes nothing or is no role", async () => {
    expect((await change(adminId, {})).status).toBe(400);
    expect((await change(adminId, { role: "" })).status).toBe(400);
    expect((await change("0198c0de-0000-7000-8000-000000000000", { role: "x" })).status).toBe(404);
  });

  test("answers 503 when the sessions cannot be told, and the same request again completes it", async () => {
    const user = await loggedIn(edge);
    const failing = new Edge({
      USER_SESSIONS: {
        getByName: (name: string) => {
          const stub = env.USER_SESSIONS.getByName(name);
          return new Proxy(stub, {
            get: (target, property) =>
              property === "noteAccount"
                ? () => Promise.reject(new Error("away"))
                : (...given: unknown[]) => Reflect.apply(Reflect.get(target, property) as () => unknown, target, given),
          });
        },
      },
    });
    const json = { status: "disabled" };
    const half = await failing.fetch(`/admin/users/${user.id}`, { method: "PATCH", bearer, json });
    expect(half.status).toBe(503);
    expect((await change(user.id, json)).status).toBe(200);
    expect((await problemOf(await edge.users(user.tokens.access_token))).code).toBe("token_revoked");
  });
});

describe("the last administrator", () => {
  test("can be neither demoted nor disabled nor deleted", async () => {
    await env.DB.prepare("UPDATE users SET role = 'user' WHERE role = 'admin' AND id <> ?").bind(adminId).run();
    for (const json of [{ role: "user" }, { status: "disabled" }]) {
      const response = await call(`/admin/users/${adminId}`, { method: "PATCH", json });
      expect(response.status).toBe(400);
      expect((await problemOf(response)).detail).toContain("administrator");
    }
    expect((await call(`/admin/users/${adminId}`, { method: "DELETE" })).status).toBe(400);
    expect((await call(`/admin/users/${adminId}`)).status).toBe(200);
    const second = await createUser({ role: "admin" });
    expect((await call(`/admin/users/${second.id}`, { method: "PATCH", json: { role: "user" } })).status).toBe(200);
  });
});

describe("DELETE /admin/users/{id}", () => {
  test("removes the user, sessions and all", async () => {
    const user = await loggedIn(edge);
    expect((await call(`/admin/users/${user.id}`, { method: "DELETE" })).status).toBe(204);
    expect((await problemOf(await edge.users(user.tokens.access_token))).code).toBe("token_revoked");
    expect((await problemOf(await edge.refresh(user.tokens.refresh_token))).code).toBe("session_revoked");
    expect((await problemOf(await edge.login(user.username))).code).toBe("invalid_credentials");
    expect((await call(`/admin/users/${user.id}`)).status).toBe(404);
    await vi.waitFor(async () => expect(await audited(`user=${user.id}&event=user.deleted`)).toHaveLength(1));
  });
});

describe("/admin/users/{id}/sessions", () => {
  test("lists them, ends one, ends all", async () => {
    const user = await loggedIn(edge);
    const second = await (await edge.login(user.username)).json<TokenResponse>();
    const list = async () =>
      (await (await call(`/admin/users/${user.id}/sessions`)).json<{ sessions: { id: string }[] }>()).sessions;
    expect(await list()).toHaveLength(2);
    const end = (id: string) => call(`/admin/users/${user.id}/sessions/${id}`, { method: "DELETE" });
    expect((await end(second.session_id)).status).toBe(204);
    expect((await problemOf(await edge.users(second.access_token))).code).toBe("token_revoked");
    expect((await end("x")).status).toBe(404);
    expect((await end("0198c0de-0000-7000-8000-000000000000")).status).toBe(404);
    expect((await call(`/admin/users/${user.id}/sessions`, { method: "DELETE" })).status).toBe(204);
    expect(await list()).toEqual([]);
    expect((await problemOf(await edge.users(user.tokens.access_token))).code).toBe("token_revoked");
  });
});

describe("the audit trail", () => {
  test("holds what users do with their sessions, by whom and from where, and never a secret", async () => {
    const user = await createUser();
    const strict = new Edge({ REFRESH_RACE_SECONDS: "0" });
    await strict.login(user.username, "not the right password");
    await strict.login(`nobody-${user.username}`, "not the right password");
    const stolen = await (await strict.login(user.username)).json<TokenResponse>();
    await strict.refresh(stolen.refresh_token);
    await strict.refresh(stolen.refresh_token);
    const mine = await (await strict.login(user.username)).json<TokenResponse>();
    const other = await (await strict.login(user.username)).json<TokenResponse>();
    const bearerOf = (tokens: TokenResponse) => ({ bearer: tokens.access_token });
    await strict.fetch(`/auth/sessions/${other.session_id}`, { method: "DELETE", ...bearerOf(mine) });
    const NEW = "another sentence altogether";
    await strict.fetch("/auth/password", {
      json: { current_password: PASSWORD, new_password: NEW },
      ...bearerOf(mine),
    });
    await strict.fetch("/auth/logout/all", { method: "POST", ...bearerOf(mine) });
    const last = await (await strict.login(user.username, NEW)).json<TokenResponse>();
    await strict.logout(last.access_token);

    const expected = [
      "logout",
      "login.succeeded",
      "logout.all",
      "password.changed",
      "session.ended",
      "login.succeeded",
      "login.succeeded",
      "refresh.reused",
      "login.succeeded",
      "login.failed",
    ];
    await vi.waitFor(async () => expect(await audited(`user=${user.id}`)).toHaveLength(expected.length));
    const events = await audited(`user=${user.id}`);
    expect(events.map((event) => event.event)).toEqual(expected);
    expect(events.at(-1)?.detail).toEqual({ reason: "wrong_password" });
    const unknown = (await audited("event=login.failed")).find((event) => event.user_id === null);
    expect(unknown?.detail).toEqual({ reason: "unknown_user" });
    const all = JSON.stringify((await env.DB.prepare("SELECT * FROM audit_events").all()).results);
    for (const secret of [PASSWORD, NEW, stolen.refresh_token, last.access_token]) expect(all).not.toContain(secret);
    expect(all).toContain("::/64");
  });

  test("reads newest first, by page, user, event and time", async () => {
    const user = await createUser();
    for (const role of ["a", "b", "c"]) await call(`/admin/users/${user.id}`, { method: "PATCH", json: { role } });
    await vi.waitFor(async () => expect(await audited(`user=${user.id}`)).toHaveLength(3));
    const first = await (await call(`/admin/audit?user=${user.id}&limit=2`)).json<AuditPage>();
    expect(first.events.map((event) => (event.detail["after"] as User).role)).toEqual(["c", "b"]);
    const second = await (
      await call(`/admin/audit?user=${user.id}&limit=2&cursor=${first.next_cursor}`)
    ).json<AuditPage>();
    expect(second.events.map((event) => (event.detail["after"] as User).role)).toEqual(["a"]);
    expect(second.next_cursor).toBeNull();
    expect(await audited(`user=${user.id}&since=2100-01-01T00:00:00Z`)).toEqual([]);
    expect((await call("/admin/audit?since=yesterday")).status).toBe(400);
  });

  test("that cannot be written breaks nothing, and is counted in the log", async () => {
    const user = await createUser();
    const logged = vi.spyOn(console, "error").mockImplementation(() => undefined);
    const DB = new Proxy(env.DB, {
      get(object, property) {
        if (property === "batch") return () => Promise.reject(new Error("away"));
        const value: unknown = Reflect.get(object, property, object);
        return typeof value === "function" ? (value.bind(object) as unknown) : value;
      },
    });
    const failing = new Edge({ DB });
    const response = await failing.fetch(`/admin/users/${user.id}`, { method: "PATCH", bearer, json: { role: "z" } });
    expect(response.status).toBe(200);
    await vi.waitFor(() => expect(logged).toHaveBeenCalledWith(expect.stringContaining('"audit.dropped","count":1')));
    logged.mockRestore();
  });

  test("is bounded: beyond the queue events are dropped and counted", async () => {
    const { createAuditTrail } = await import("../src/audit/trail.ts");
    const { runtime } = await import("../src/services.ts");
    const logged = vi.spyOn(console, "error").mockImplementation(() => undefined);
    const trail = createAuditTrail(env.DB, 1, runtime);
    for (let i = 0; i < 510; i++)
      trail.record({ event: "logout.all", userId: "flood" }, { requestId: "r", address: null });
    await vi.waitFor(() => expect(logged).toHaveBeenCalledWith(expect.stringContaining('"audit.dropped","count":10')));
    logged.mockRestore();
    const rows = await env.DB.prepare("SELECT count(*) AS n FROM audit_events WHERE user_id = 'flood'").first<{
      n: number;
    }>();
    expect(rows?.n).toBe(500);
  });

  test("is pruned by the cron after AUDIT_DAYS", async () => {
    const insert = async (at: number): Promise<string> => {
      const id = uuidV7(at, crypto.getRandomValues(new Uint8Array(10)));
      const sql = "INSERT INTO audit_events VALUES (?1, ?2, 'logout', NULL, NULL, NULL, NULL, 'r', '{}')";
      await env.DB.prepare(sql).bind(id, at).run();
      return id;
    };
    const isThere = (id: string) => env.DB.prepare("SELECT 1 FROM audit_events WHERE id = ?").bind(id).first();
    const days = (n: number) => n * 86_400_000;
    const old = await insert(Date.now() - days(30) - 60_000);
    const young = await insert(Date.now() - days(30) + 60_000);
    await new Edge({ AUDIT_DAYS: "30" }).maintain();
    expect(await isThere(old)).toBeNull();
    expect(await isThere(young)).not.toBeNull();
  });
});
