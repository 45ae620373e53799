/**
 * A client of Postern as the smoke test needs one: every call answers with status, headers and JSON, and none throws for
 * a refusal. Each client calls from an address of its own, so that the limits of one step leave the others alone.
 */
import { randomBytes } from "node:crypto";
import { DEMO_USERS } from "../dev/demo-users.ts";

export interface Tokens {
  readonly access_token: string;
  readonly refresh_token: string;
  readonly expires_in: number;
  readonly refresh_expires_in: number;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  /** The code of a refusal. */
  readonly code: string | undefined;
  readonly detail: string | undefined;
  readonly body: Readonly<Record<string, unknown>>;
}

export interface Client {
  login(): Promise<Answer>;
  /** Logs in; throws when that fails, for steps about something else. */
  tokens(): Promise<Tokens>;
  refresh(refreshToken: string): Promise<Answer>;
  logout(accessToken: string): Promise<Answer>;
  /** GET /api/users, without a credential when there is no token. */
  users(accessToken?: string): Promise<Answer>;
}

const ANSWER_TIMEOUT_MS = 15_000;
const [DEMO_USER] = DEMO_USERS;

/** An address of the documentation prefix, in a /48 that no other client is likely to have. */
function randomAddress(): string {
  const [third, fourth] = [randomBytes(2).toString("hex"), randomBytes(2).toString("hex")];
  return `2001:db8:${third}:${fourth}::1`;
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

/** The tokens in an answer to a login or a refresh; throws when it has none. */
export function tokensOf({ status, code, body }: Answer): Tokens {
  if (status !== 200) throw new Error(`no tokens: ${status} ${code ?? ""}`);
  return body as unknown as Tokens;
}

/** A new client of the Postern on `url`. */
export function createClient(url: string): Client {
  const address = randomAddress();

  const call = async (method: string, path: string, token?: string, json?: object): Promise<Answer> => {
    const headers = new Headers({ "CF-Connecting-IP": address });
    if (token !== undefined) headers.set("Authorization", `Bearer ${token}`);
    if (json !== undefined) headers.set("Content-Type", "application/json");
    const response = await fetch(new URL(path, url), {
      method,
      headers,
      body: json === undefined ? null : JSON.stringify(json),
      signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS),
    });
    const text = await response.text();
    const isJson = /^application\/([a-z-]+\+)?json/.test(response.headers.get("content-type") ?? "");
    const body = isJson ? (JSON.parse(text) as Record<string, unknown>) : {};
    return {
      status: response.status,
      headers: response.headers,
      code: textOf(body["code"]),
      detail: textOf(body["detail"]),
      body,
    };
  };

  const login = (): Promise<Answer> =>
    call("POST", "/auth/login", undefined, { username: DEMO_USER?.username, password: DEMO_USER?.password });

  return {
    login,
    tokens: async () => tokensOf(await login()),
    refresh: (refreshToken) => call("POST", "/auth/refresh", undefined, { refresh_token: refreshToken }),
    logout: (accessToken) => call("POST", "/auth/logout", accessToken),
    users: (accessToken) => call("GET", "/api/users", accessToken),
  };
}
