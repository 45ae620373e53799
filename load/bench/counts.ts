// What each operation costs in calls and cryptography, as the Worker counts it itself (Server-Timing), against what it
// may cost. One request at a time; no clock is involved, so a busy machine changes nothing.
import { startServer, type Server } from "../server.ts";
import { authorisedRequest, freshAddress, loginRequest, readTokens, refreshRequest } from "./client.ts";
import { Connection, encodeRequest, field } from "./http.ts";

export const COSTS = ["objects", "d1", "sign", "verify", "hash"] as const;
export type Counts = Record<(typeof COSTS)[number], number>;

function counts(objects: number, d1: number, sign: number, verify: number, hash: number): Counts {
  return { objects, d1, sign, verify, hash };
}

/** The most that an operation may cost. Of its objects, one (a login: two, by IPv6 three) is the limit's. */
export const BUDGET = {
  authorised_warm: counts(0, 0, 0, 0, 0),
  authorised_first: counts(1, 0, 0, 1, 0),
  refresh: counts(2, 0, 1, 0, 0),
  login: counts(3, 1, 1, 0, 1),
  login_ipv6: counts(4, 1, 1, 0, 1),
  logout: counts(2, 0, 0, 1, 0),
} as const satisfies Record<string, Counts>;
export type Operation = keyof typeof BUDGET;

/** The counts in a `Server-Timing` field; throws when one is missing. */
export function parseServerTiming(value: string | null): Counts {
  const found = (name: string): number => {
    const digits = new RegExp(`(?:^|,)\\s*${name};desc="(\\d+)"`).exec(value ?? "")?.[1];
    if (digits === undefined) throw new Error(`Server-Timing without ${name}: ${value}`);
    return Number(digits);
  };
  return counts(found("objects"), found("d1"), found("sign"), found("verify"), found("hash"));
}

/** The operations that cost more than {@link BUDGET}, in words. */
export function overBudget(measured: Readonly<Record<Operation, Counts>>): string[] {
  return (Object.keys(BUDGET) as Operation[]).flatMap((operation) =>
    COSTS.filter((cost) => measured[operation][cost] > BUDGET[operation][cost]).map(
      (cost) => `${operation}: ${cost} ${measured[operation][cost]}, budget ${BUDGET[operation][cost]}`,
    ),
  );
}

async function countOn(server: Server): Promise<Record<Operation, Counts>> {
  const [here, elsewhere] = await Promise.all(server.urls.map((url) => Connection.open(url)));
  if (here === undefined || elsewhere === undefined) throw new Error("counting takes two edges");
  const ask = async (connection: Connection, request: string) => {
    const answer = await connection.send(request);
    if (answer.status >= 300) throw new Error(`${answer.head}\n${answer.body}`);
    return { counts: parseServerTiming(field(answer.head, "Server-Timing")), body: answer.body };
  };
  const logout = (access: string) =>
    encodeRequest("POST", "/auth/logout", {
      Authorization: `Bearer ${access}`,
      "CF-Connecting-IP": freshAddress(),
      "Content-Length": "0",
    });
  try {
    // The first login of an isolate loads the keyring.
    await ask(here, loginRequest(server, 0));
    const login = await ask(here, loginRequest(server, 1));
    const loginIpv6 = await ask(here, loginRequest(server, 2, "2001:db8::1"));
    const refresh = await ask(here, refreshRequest(readTokens(login.body).refresh));
    const { access } = readTokens(refresh.body);
    // At an edge that has the keyring but has seen nothing of this session.
    await ask(elsewhere, authorisedRequest(readTokens(loginIpv6.body).access));
    const first = await ask(elsewhere, authorisedRequest(access));
    const warm = await ask(elsewhere, authorisedRequest(access));
    const loggedOut = await ask(elsewhere, logout(access));
    return {
      authorised_warm: warm.counts,
      authorised_first: first.counts,
      refresh: refresh.counts,
      login: login.counts,
      login_ipv6: loginIpv6.counts,
      logout: loggedOut.counts,
    };
  } finally {
    here.close();
    elsewhere.close();
  }
}

/** Counts every operation on a server of its own. */
export async function measureCounts(): Promise<Record<Operation, Counts>> {
  const server = await startServer({ users: 10, edges: 2, variables: { SERVER_TIMING: "on" } });
  try {
    return await countOn(server);
  } finally {
    await server.stop();
  }
}
