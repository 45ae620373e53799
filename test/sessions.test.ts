import { env } from "cloudflare:workers";
import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { afterEach, describe, expect, test, vi } from "vitest";
import { createUser, Edge, loggedIn, PASSWORD, problemOf, type TestUser, type TokenResponse } from "./support.ts";

const edge = new Edge();
const DAY_MS = 86_400_000;

interface Listed {
  readonly id: string;
  readonly created_at: string;
  readonly last_used_at: string;
  readonly expires_at: string;
  readonly user_agent: string;
  readonly address: string;
  readonly current: boolean;
}

async function login(user: TestUser, headers: Record<string, string> = {}): Promise<TokenResponse> {
  return (await edge.login(user.username, PASSWORD, { headers })).json<TokenResponse>();
}

async function list(tokens: TokenResponse): Promise<Listed[]> {
  const response = await edge.fetch("/auth/sessions", { bearer: tokens.access_token });
  expect(response.status).toBe(200);
  return (await response.json<{ sessions: Listed[] }>()).sessions;
}

afterEach(() => {
  vi.useRealTimers();
});

describe("GET /auth/sessions", () => {
  test("lists the live sessions of the user with device and address prefix, the current one marked", async () => {
    const user = await createUser();
    const phone = await (
      await edge.login(user.username, PASSWORD, {
        headers: { "User-Agent": "Phone/1" },
        address: "2001:db8:aaaa:bbbb:1:2:3:4",
      })
    ).json<TokenResponse>();
    const laptop = await login(user, { "User-Agent": "Laptop/2" });
    const sessions = await list(laptop);
    expect(sessions).toHaveLength(2);
    const [mine, other] = sessions;
    expect(mine).toMatchObject({ id: laptop.session_id, user_agent: "Laptop/2", current: true });
    expect(other).toMatchObject({
      id: phone.session_id,
      user_agent: "Phone/1",
      current: false,
      address: "2001:db8:aaaa:bbbb::/64",
    });
    expect(Date.parse(mine?.expires_at ?? "") - Date.parse(mine?.created_at ?? "")).toBe(7 * DAY_MS);
  });

  test("needs a live session", async () => {
    expect((await edge.fetch("/auth/sessions")).status).toBe(401);
    const { tokens } = await loggedIn(edge);
    await edge.logout(tokens.access_token);
    const response = await edge.fetch("/auth/sessions", { bearer: tokens.access_token });
    expect((await problemOf(response)).code).toBe("token_revoked");
  });
});

describe("DELETE /auth/sessions/{id}", () => {
  test("ends that session and no other", async () => {
    const user = await createUser();
    const [one, two] = [await login(user), await login(user)];
    const end = (id: string) => edge.fetch(`/auth/sessions/${id}`, { method: "DELETE", bearer: one.access_token });
    expect((await end(two.session_id)).status).toBe(204);
    expect((await problemOf(await edge.users(two.access_token))).code).toBe("token_revoked");
    expect((await edge.users(one.access_token)).status).toBe(200);
    expect((await list(one)).map((session) => session.id)).toEqual([one.session_id]);
  });

  test("does not find unknown ids, nor those of another user", async () => {
    const [{ tokens }, other] = [await loggedIn(edge), await loggedIn(edge)];
    for (const id of [other.tokens.session_id, "0198c0de-0000-7000-8000-000000000000", "x"]) {
      const response = await edge.fetch(`/auth/sessions/${id}`, { method: "DELETE", bearer: tokens.access_token });
      expect(response.status).toBe(404);
    }
    expect((await edge.users(other.tokens.access_token)).status).toBe(200);
  });
});

describe("POST /auth/logout/all", () => {
  test("ends every session of the user and of nobody else", async () => {
    const user = await createUser();
    const stranger = await loggedIn(edge);
    const sessions = [await login(user), await login(user), await login(user)] as const;
    const response = await edge.fetch("/auth/logout/all", { method: "POST", bearer: sessions[0].access_token });
    expect(response.status).toBe(204);
    for (const { access_token, refresh_token } of sessions) {
      expect((await problemOf(await edge.users(access_token))).code).toBe("token_revoked");
      expect((await problemOf(await edge.refresh(refresh_token))).code).toBe("session_revoked");
    }
    expect((await edge.users(stranger.tokens.access_token)).status).toBe(200);
  });
});

describe("GET /auth/me", () => {
  test("says who is logged in", async () => {
    const { id, username, tokens } = await loggedIn(edge, "admin");
    const response = await edge.fetch("/auth/me", { bearer: tokens.access_token });
    expect(await response.json()).toEqual({ user_id: id, username, role: "admin" });
  });

  test("refuses the token of a user who was deleted", async () => {
    const { id, tokens } = await loggedIn(edge);
    await env.DB.prepare("DELETE FROM users WHERE id = ?").bind(id).run();
    const response = await edge.fetch("/auth/me", { bearer: tokens.access_token });
    expect((await problemOf(response)).code).toBe("token_revoked");
  });
});

describe("POST /auth/password", () => {
  const change = (tokens: TokenResponse, current_password: string, new_password: string) =>
    edge.fetch("/auth/password", { json: { current_password, new_password }, bearer: tokens.access_token });
  const NEW_PASSWORD = "an entirely different sentence";

  test("replaces the password and ends all other sessions", async () => {
    const user = await createUser();
    const [mine, other] = [await login(user), await login(user)];
    expect((await change(mine, PASSWORD, NEW_PASSWORD)).status).toBe(204);
    expect((await edge.users(mine.access_token)).status).toBe(200);
    expect((await edge.refresh(mine.refresh_token)).status).toBe(200);
    expect((await problemOf(await edge.users(other.access_token))).code).toBe("token_revoked");
    expect((await problemOf(await edge.login(user.username))).code).toBe("invalid_credentials");
    expect((await edge.login(user.username, NEW_PASSWORD)).status).toBe(200);
  });

  test("needs the current password", async () => {
    const { tokens, username } = await loggedIn(edge);
    const response = await change(tokens, "not the current password", NEW_PASSWORD);
    expect(response.status).toBe(401);
    expect((await problemOf(response)).code).toBe("invalid_credentials");
    expect((await edge.login(username)).status).toBe(200);
  });

  test("refuses a weak password with the reason", async () => {
    const { tokens } = await loggedIn(edge);
    const response = await change(tokens, PASSWORD, "short");
    expect(response.status).toBe(422);
    const { code, detail } = await problemOf(response);
    expect(code).toBe("weak_password");
    expect(detail).toContain("15");
  });

  test("refuses the session of a login that began with the old password and came too late", async () => {
    const user = await createUser();
    const mine = await login(user);
    const stub = env.USER_SESSIONS.getByName(user.id);
    // The late login: it read revision 1 of the account, then the password was changed, then it opens its session.
    let isChanged = false;
    const late = new Edge({
      USER_SESSIONS: {
        getByName: () => ({
          open: async (request: never) => {
            if (!isChanged) {
              isChanged = true;
              expect((await change(mine, PASSWORD, NEW_PASSWORD)).status).toBe(204);
            }
            return (stub as unknown as { open(message: never): Promise<unknown> }).open(request);
          },
        }),
      },
    });
    const response = await late.login(user.username);
    expect(response.status).toBe(401);
    expect((await problemOf(response)).code).toBe("invalid_credentials");
    expect(await list(mine)).toHaveLength(1);
  });

  test("lets only one of two concurrent changes win", async () => {
    const { tokens, username } = await loggedIn(edge);
    const passwords = ["the first of two new sentences", "the second of two new sentences"];
    const responses = await Promise.all(passwords.map((next) => change(tokens, PASSWORD, next)));
    expect(responses.map((response) => response.status).toSorted((x, y) => x - y)).toEqual([204, 401]);
    const winner = passwords[responses.findIndex((response) => response.status === 204)] ?? "";
    expect((await edge.login(username, winner)).status).toBe(200);
  });
});

describe("POST /auth/register", () => {
  const open = new Edge({ REGISTRATION: "open" });
  const register = (at: Edge, username: string, password = PASSWORD) =>
    at.fetch("/auth/register", { json: { username, password } });

  test("is closed unless configured open", async () => {
    const response = await register(edge, "somebody-new");
    expect(response.status).toBe(403);
    expect((await problemOf(response)).code).toBe("registration_closed");
  });

  test("creates a user who can log in, once per name in any spelling", async () => {
    const response = await register(open, "Newcomer-1");
    expect(response.status).toBe(201);
    expect(await response.json()).toEqual({ user_id: expect.stringMatching(/^[0-9a-f-]{36}$/) });
    expect((await edge.login("newcomer-1")).status).toBe(200);
    const taken = await register(open, "NEWCOMER-1");
    expect(taken.status).toBe(409);
    expect((await problemOf(taken)).code).toBe("username_taken");
    expect((await register(open, "newcomer-2", "short")).status).toBe(422);
  });
});

describe("a user's sessions", () => {
  test("are at most MAX_SESSIONS_PER_USER; the one idle longest goes first", async () => {
    const three = new Edge({ MAX_SESSIONS_PER_USER: "3" });
    const user = await createUser();
    const start = Date.now();
    vi.useFakeTimers({ toFake: ["Date"], now: start });
    const tokens: TokenResponse[] = [];
    for (let i = 0; i < 3; i++) {
      vi.setSystemTime(start + i * 1000);
      tokens.push(await (await three.login(user.username)).json<TokenResponse>());
    }
    const [first, second] = tokens as [TokenResponse, TokenResponse];
    vi.setSystemTime(start + 10_000);
    const used = await (await three.refresh(first.refresh_token)).json<TokenResponse>();
    vi.setSystemTime(start + 20_000);
    await three.login(user.username);
    expect((await problemOf(await three.refresh(second.refresh_token))).code).toBe("session_revoked");
    expect((await three.refresh(used.refresh_token)).status).toBe(200);
  });

  test("are forgotten once nothing can name them, and the object with the last of them", async () => {
    const { id, tokens } = await loggedIn(edge);
    const stub = env.USER_SESSIONS.getByName(id);
    const start = Date.now();
    expect(await runDurableObjectAlarm(stub)).toBe(true);
    expect((await edge.refresh(tokens.refresh_token)).status).toBe(200);

    vi.useFakeTimers({ toFake: ["Date"], now: start + 7 * DAY_MS + 901_000 });
    expect(await runDurableObjectAlarm(stub)).toBe(true);
    const tables = await runInDurableObject(stub, (_, state) =>
      state.storage.sql.exec("SELECT name FROM sqlite_master WHERE name IN ('family', 'account')").toArray(),
    );
    expect(tables).toEqual([]);
    expect((await problemOf(await edge.refresh(tokens.refresh_token))).code).toBe("refresh_token_expired");
    expect((await (await edge.login((await createUser()).username)).json<TokenResponse>()).token_type).toBe("Bearer");
    expect(await runDurableObjectAlarm(stub)).toBe(false);
  });

  test("start anew in an object that had forgotten everything", async () => {
    const user = await loggedIn(edge);
    const stub = env.USER_SESSIONS.getByName(user.id);
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 30 * DAY_MS });
    await runDurableObjectAlarm(stub);
    const again = await login(user);
    expect((await edge.users(again.access_token)).status).toBe(200);
    expect(await list(again)).toHaveLength(1);
  });
});
