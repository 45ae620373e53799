// Requests as Postern's clients make them, each from an address of its own where limits count.
import type { Server } from "../server.ts";
import { Connection, encodeRequest, type Script } from "./http.ts";

/** What a login or a refresh gives. */
export interface Tokens {
  readonly access: string;
  readonly refresh: string;
}

let addresses = 0;

/** An IPv4 address that this process has not used before. */
export function freshAddress(): string {
  addresses += 1;
  return `10.${(addresses >> 16) & 0xff}.${(addresses >> 8) & 0xff}.${addresses & 0xff}`;
}

export function authorisedRequest(access: string): string {
  return encodeRequest("GET", "/api/items?page=2", {
    Authorization: `Bearer ${access}`,
    "CF-Connecting-IP": freshAddress(),
    Accept: "application/json",
  });
}

export function loginRequest(server: Server, user: number, address = freshAddress()): string {
  const body = JSON.stringify({ username: server.users.name(user), password: server.users.password });
  return encodeRequest("POST", "/auth/login", { "CF-Connecting-IP": address }, body);
}

export function refreshRequest(refresh: string, address = freshAddress()): string {
  const body = JSON.stringify({ refresh_token: refresh });
  return encodeRequest("POST", "/auth/refresh", { "CF-Connecting-IP": address }, body);
}

export function readTokens(body: string): Tokens {
  const { access_token: access, refresh_token: refresh } = JSON.parse(body) as Record<string, string | undefined>;
  if (access === undefined || refresh === undefined) throw new Error("an answer without tokens");
  return { access, refresh };
}

/** Logs in users `from` up to `to`, exclusive, one after the other. */
export async function logIn(server: Server, from: number, to: number): Promise<Tokens[]> {
  const connection = await Connection.open(server.url);
  const tokens: Tokens[] = [];
  try {
    for (let user = from; user < to; user++) {
      const answer = await connection.send(loginRequest(server, user));
      if (answer.status !== 200) throw new Error(`login: ${answer.head}\n${answer.body}`);
      tokens.push(readTokens(answer.body));
    }
  } finally {
    connection.close();
  }
  return tokens;
}

/** Calls the API again and again. */
export function authorisedScript({ access }: Tokens): Script {
  const request = authorisedRequest(access);
  return { next: () => request };
}

/** Refreshes again and again, each time with the token it was given last. */
export function refreshScript({ refresh }: Tokens, address?: string): Script {
  let current = refresh;
  return {
    next: () => refreshRequest(current, address),
    heard: ({ body }) => {
      current = readTokens(body).refresh;
    },
  };
}

/** Logs in one user of `count` after the other, beginning with the last of `logins.user`, which is shared. */
export function loginScript(server: Server, logins: { user: number }, count: number): Script {
  return {
    next: () => {
      logins.user = (logins.user + 1) % count;
      return loginRequest(server, logins.user);
    },
  };
}
