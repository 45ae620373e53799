// What the tests share: edges with any configuration over the file's own D1 and Durable Objects, users, addresses, and
// the small vocabulary of logging in. Each edge has its own caches and leases, as an isolate has.
import { createScheduledController } from "cloudflare:test";
import { env } from "cloudflare:workers";
import worker from "../src/index.ts";
import { createPasswordHasher } from "../src/accounts/password-hash.ts";
import { usernameKey } from "../src/accounts/username.ts";
import { uuidV7 } from "../src/kit/encoding.ts";
import { type Bindings, runtime } from "../src/services.ts";
import { noteRequest, noteResponse } from "./secrecy.ts";

export const PASSWORD = "correct horse battery staple";

export interface TokenResponse {
  readonly access_token: string;
  readonly token_type: string;
  readonly expires_in: number;
  readonly refresh_token: string;
  readonly refresh_expires_in: number;
  readonly session_id: string;
}

export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail?: string;
  readonly code: string;
  readonly request_id: string;
  readonly errors?: readonly { readonly path: string; readonly message: string }[];
}

export interface RequestOptions {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: BodyInit;
  /** Sent as JSON. */
  readonly json?: unknown;
  readonly bearer?: string;
  readonly address?: string;
}

export type Overrides = Readonly<Record<string, unknown>>;

let counter = 0;

/** A client address nobody else in this file has. */
export function freshAddress(): string {
  counter += 1;
  return `2001:db8:${counter.toString(16)}::1`;
}

/** One edge: an application with its own isolate state over the shared storage. */
export class Edge {
  readonly #env: Bindings;

  constructor(overrides: Overrides = {}) {
    this.#env = { ...env, ...overrides };
  }

  async fetch(path: string, options: RequestOptions = {}): Promise<Response> {
    const headers = new Headers(options.headers);
    headers.set("CF-Connecting-IP", options.address ?? freshAddress());
    if (options.bearer !== undefined) headers.set("Authorization", `Bearer ${options.bearer}`);
    let body = options.body ?? null;
    if (options.json !== undefined) {
      headers.set("Content-Type", "application/json");
      body = JSON.stringify(options.json);
    }
    const method = options.method ?? (body === null ? "GET" : "POST");
    const request = new Request<unknown, IncomingRequestCfProperties>(`http://127.0.0.1:8787${path}`, {
      method,
      headers,
      body,
      redirect: "manual",
    });
    noteRequest(headers, body);
    const response = await worker.fetch(request, this.#env);
    await noteResponse(path, response);
    return response;
  }

  /** Runs what the cron runs. */
  async maintain(): Promise<void> {
    await worker.scheduled(createScheduledController(), this.#env);
  }

  login(username: string, password = PASSWORD, options: RequestOptions = {}): Promise<Response> {
    return this.fetch("/auth/login", { ...options, json: { username, password } });
  }

  refresh(refreshToken: string, headers: Readonly<Record<string, string>> = {}): Promise<Response> {
    return this.fetch("/auth/refresh", { json: { refresh_token: refreshToken }, headers });
  }

  logout(bearer: string): Promise<Response> {
    return this.fetch("/auth/logout", { method: "POST", bearer });
  }

  users(bearer: string): Promise<Response> {
    return this.fetch("/api/users", { bearer });
  }
}

export interface TestUser {
  readonly id: string;
  readonly username: string;
}

/** Creates a user with a unique name and {@link PASSWORD}. */
export async function createUser(
  fields: { role?: string; status?: "active" | "disabled"; passwordHash?: string; username?: string } = {},
): Promise<TestUser> {
  counter += 1;
  const id = uuidV7(Date.now(), crypto.getRandomValues(new Uint8Array(10)));
  const username = fields.username ?? `user-${counter}-${id.slice(-6)}`;
  const hash = fields.passwordHash ?? createPasswordHasher(runtime).hash(PASSWORD);
  await env.DB.prepare(
    `INSERT INTO users (id, username, username_key, password_hash, role, status, created_at, updated_at)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7)`,
  )
    .bind(id, username, usernameKey(username), hash, fields.role ?? "user", fields.status ?? "active", Date.now())
    .run();
  return { id, username };
}

/** A new user, logged in at `edge`. */
export async function loggedIn(edge: Edge, role = "user"): Promise<TestUser & { readonly tokens: TokenResponse }> {
  const user = await createUser({ role });
  const response = await edge.login(user.username);
  if (response.status !== 200) throw new Error(`login answered ${response.status}: ${await response.text()}`);
  return { ...user, tokens: await response.json<TokenResponse>() };
}

/** The problem of a refused request. */
export function problemOf(response: Response): Promise<Problem> {
  return response.json<Problem>();
}

/** The first value of a Set-Cookie with that name. */
export function cookieOf(response: Response, name: string): string | undefined {
  const cookie = response.headers.getSetCookie().find((line) => line.startsWith(`${name}=`));
  return cookie?.slice(name.length + 1).split(";")[0];
}

/** `target` with every call of the methods named counted. */
export function counting<T extends object>(target: T, methods: readonly string[]): { proxy: T; calls: () => number } {
  let calls = 0;
  const proxy = new Proxy(target, {
    get(object, property) {
      if (typeof property === "string" && methods.includes(property)) calls += 1;
      const value: unknown = Reflect.get(object, property, object);
      return typeof value === "function" ? (value.bind(object) as unknown) : value;
    },
  });
  return { proxy, calls: () => calls };
}
