// Refresh tokens, cookies and session ids that were made up, mangled or put together from good ones.
import { env } from "cloudflare:workers";
import * as fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { fromBase64Url, fromUuid, toBase64Url } from "../../src/kit/encoding.ts";
import { keysFor } from "../../src/kit/secrets.ts";
import { createRefreshTokenCodec } from "../../src/sessions/refresh-token.ts";
import { Edge, freshAddress, loggedIn, type TestUser, type TokenResponse } from "../support.ts";
import { codeOf, faultsOf, refuseUnhandledRejections, SEED } from "./invariants.ts";

refuseUnhandledRejections();

const edge = new Edge({
  LOG_REQUESTS: "off",
  SESSION_AUTH: "on",
  RATE_LIMIT_REFRESH: "1000/60",
  RATE_LIMIT_AUTH: "1000/60",
});
const REFRESH = { userId: 0, sessionId: 16, familySecret: 32, generation: 48, tag: 52, end: 68 } as const;

type LoggedIn = TestUser & { readonly tokens: TokenResponse };
let victim: LoggedIn;
let sibling: TokenResponse;
let attacker: LoggedIn;
let address = freshAddress();
let asked = 0;

beforeAll(async () => {
  victim = await loggedIn(edge);
  sibling = await (await edge.login(victim.username)).json<TokenResponse>();
  attacker = await loggedIn(edge);
});

/** The next address once one has used up its allowance. */
function client(): string {
  asked += 1;
  if (asked % 900 === 0) address = freshAddress();
  return address;
}

async function verdict(path: string, options: { json?: unknown; cookie?: string }): Promise<string> {
  const { json, cookie } = options;
  const response = await edge.fetch(path, {
    method: "POST",
    address: client(),
    ...(json !== undefined && { json }),
    ...(cookie !== undefined && { headers: { Cookie: cookie } }),
  });
  const code = await codeOf(response);
  const faults = await faultsOf(response, [victim.tokens.refresh_token, attacker.tokens.refresh_token]);
  return faults.length === 0 ? code : faults.join(", ");
}

const refreshVerdict = (token: string): Promise<string> => verdict("/auth/refresh", { json: { refresh_token: token } });
const bytesOf = (token: string): Uint8Array => fromBase64Url(token.slice(5)) ?? new Uint8Array();
const tokenOf = (bytes: Uint8Array): string => `prt1_${toBase64Url(bytes)}`;

describe("a refresh token", () => {
  test("with any single bit changed is refused", async () => {
    const good = bytesOf(victim.tokens.refresh_token);
    expect(good.byteLength).toBe(REFRESH.end);
    for (let bit = 0; bit < good.byteLength * 8; bit++) {
      const changed = good.slice();
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(await refreshVerdict(tokenOf(changed))).toBe("invalid_refresh_token");
    }
  });

  test("with any character replaced by any other is not even read", async () => {
    const secrets = { current: Uint8Array.fromBase64(env.AUTH_SECRET), previous: null };
    const codec = createRefreshTokenCodec(keysFor(secrets, "refresh-token", "hmac"));
    const good = victim.tokens.refresh_token;
    expect(await codec.decode(good)).toMatchObject({ userId: victim.id, generation: 1 });
    const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=+/ \n\u0000é";
    for (let at = 0; at < good.length; at++) {
      for (const letter of letters) {
        const changed = good.slice(0, at) + letter + good.slice(at + 1);
        if (changed !== good) expect(await codec.decode(changed)).toBeNull();
      }
    }
  });

  test("put together from the fields of others is refused, whosever they are", async () => {
    const sources = [victim.tokens, sibling, attacker.tokens].map(({ refresh_token: token }) => bytesOf(token));
    const cuts = [0, REFRESH.sessionId, REFRESH.familySecret, REFRESH.generation, REFRESH.tag, REFRESH.end];
    const whole = new Set(sources.map(tokenOf));
    const mixed = Array.from({ length: 3 ** 5 }, (_, choice) => {
      const fields = [0, 1, 2, 3, 4].map((at) => {
        const source = sources[Math.floor(choice / 3 ** at) % 3] ?? new Uint8Array();
        return [...source.subarray(cuts[at], cuts[at + 1])];
      });
      return tokenOf(new Uint8Array(fields.flat()));
    });
    const forged = mixed.filter((token) => !whole.has(token));
    expect(forged.length).toBeGreaterThan(100);
    for (const token of forged) expect(await refreshVerdict(token)).toBe("invalid_refresh_token");
  });

  test("of another generation, without a tag of ours, is refused", async () => {
    for (const generation of [0, 2, 3, 0x7fffffff, 0x80000000, 0xffffffff]) {
      const bytes = bytesOf(victim.tokens.refresh_token);
      new DataView(bytes.buffer).setUint32(REFRESH.generation, generation);
      for (const tag of [bytes.slice(REFRESH.tag), new Uint8Array(16), new Uint8Array(16).fill(255)]) {
        bytes.set(tag, REFRESH.tag);
        expect(await refreshVerdict(tokenOf(bytes))).toBe("invalid_refresh_token");
      }
    }
  });

  test("in another spelling, length or wrapping is refused", async () => {
    const good = victim.tokens.refresh_token;
    for (const token of [
      `${good}=`,
      `${good}\n`,
      ` ${good}`,
      `${good} `,
      good.toUpperCase(),
      good.replace("prt1_", ""),
      good.replace("prt1_", "prt2_"),
      good.replace("prt1_", "PRT1_"),
      good.replace("prt1_", "prt1_prt1_"),
      `${good}${good}`,
      good.slice(0, -1),
      good.slice(0, -4),
      `${good}AAAA`,
      encodeURIComponent(`${good}.`),
      "prt1_",
      `prt1_${"A".repeat(91)}`,
      `prt1_${"A".repeat(12_000)}`,
      "prt1_\ud800",
    ]) {
      expect(await refreshVerdict(token)).toBe("invalid_refresh_token");
    }
  });

  test("of any other JSON type is no request", async () => {
    const values = fc.jsonValue({ depthSize: "small" }).filter((value) => typeof value !== "string");
    await fc.assert(
      fc.asyncProperty(values, async (value) => {
        expect(await verdict("/auth/refresh", { json: { refresh_token: value } })).toBe("invalid_request");
        expect(await verdict("/auth/logout", { json: { refresh_token: value } })).toBe("invalid_request");
      }),
      { seed: SEED, numRuns: 300 },
    );
  });

  test("that nobody issued logs nobody out", async () => {
    const forged = bytesOf(victim.tokens.refresh_token);
    forged[REFRESH.end - 1] = (forged[REFRESH.end - 1] ?? 0) ^ 1;
    expect(await verdict("/auth/logout", { json: { refresh_token: tokenOf(forged) } })).toBe("invalid_refresh_token");
    expect((await edge.users(victim.tokens.access_token)).status).toBe(200);
  });
});

describe("a cookie", () => {
  const ODD = [
    "",
    " ",
    ";",
    "=",
    "%",
    "%zz",
    "%ff",
    "%00",
    '"',
    "\\",
    ",",
    "a=b",
    "x".repeat(8000),
    "__proto__",
    "%0d%0aSet-Cookie:x=y",
  ];

  test.each(ODD)("for the refresh token that is %j is refused", async (value) => {
    for (const name of ["__Host-refresh_token", "__host-refresh_token", "refresh_token", "__Host-refresh_token "]) {
      const code = await verdict("/auth/refresh", { cookie: `${name}=${value}` });
      expect(["missing_token", "invalid_refresh_token"]).toContain(code);
    }
  });

  test.each(ODD)("for the session that is %j is refused", async (value) => {
    const response = await edge.fetch("/api/users", { headers: { Cookie: `session_id=${value}` } });
    expect(["missing_token", "invalid_session"]).toContain(await codeOf(response));
  });

  test("among thousands, or repeated, is no other than the first or none", async () => {
    const many = Array.from({ length: 3_000 }, (_, at) => `c${at}=${at}`).join("; ");
    const forged = `__Host-refresh_token=prt1_${"A".repeat(91)}`;
    for (const cookie of [many, `${many}; ${forged}`, `${forged}; ${forged}`, `${forged};;;`, `;;${forged}`]) {
      const code = await verdict("/auth/refresh", { cookie });
      expect(["missing_token", "invalid_refresh_token"]).toContain(code);
    }
  });

  test("of a session made of the victim's own ids is refused", async () => {
    const ids = [victim.id, victim.tokens.session_id];
    const raw = ids.map((id) => toBase64Url(fromUuid(id)));
    for (const value of [...ids, ...raw, raw.join(""), raw.join("."), ids.join(":")]) {
      const response = await edge.fetch("/api/users", { headers: { Cookie: `session_id=${value}` } });
      expect(await codeOf(response)).toBe("invalid_session");
    }
  });

  test("that is random text of the right length is refused", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 16, maxLength: 48 }), async (bytes) => {
        const response = await edge.fetch("/api/users", { headers: { Cookie: `session_id=${toBase64Url(bytes)}` } });
        expect(await codeOf(response)).toBe("invalid_session");
      }),
      { seed: SEED, numRuns: 300 },
    );
  });
});

test("a session id that is another's, or none, is not found, and ends nothing", async () => {
  const { session_id: id } = victim.tokens;
  const variants = [
    id,
    id.toUpperCase().replace(/^0/, "A"),
    `${id}%00`,
    `${id}%20`,
    `{${id}}`,
    `urn:uuid:${id}`,
    id.replaceAll("-", ""),
    "00000000-0000-0000-0000-000000000000",
    "'%20OR%20'1'='1",
    "%2e%2e%2fall",
    "__proto__",
    "%F0%9F%98%80",
    "%ff%fe",
    "x".repeat(10_000),
  ];
  for (const variant of variants) {
    const response = await edge.fetch(`/auth/sessions/${variant}`, {
      method: "DELETE",
      address: client(),
      bearer: attacker.tokens.access_token,
    });
    expect(await codeOf(response)).toBe("not_found");
    expect(await faultsOf(response)).toEqual([]);
  }
  expect((await edge.users(victim.tokens.access_token)).status).toBe(200);
});

test("the victim's own tokens work to the end", async () => {
  expect((await edge.refresh(victim.tokens.refresh_token)).status).toBe(200);
  expect((await edge.refresh(sibling.refresh_token)).status).toBe(200);
});
