/**
 * Cookie sessions that the existing application made. Postern does not know them: it asks the application, once per
 * lease and isolate, whose a cookie is, and believes the answer until the lease ends (docs/rollout.md has the request
 * and the answers). An application that does not answer is an outage, never a yes.
 *
 * A user of the application who has an account here is that account, role and all. One who has none passes as the
 * application describes them, so that Postern can stand in front before anybody is imported.
 */
import * as z from "zod/mini";
import { BoundedMap } from "../kit/bounded-map.ts";
import { toUuid, utf8 } from "../kit/encoding.ts";
import { describe, log } from "../kit/log.ts";
import { fail, ok, type Result } from "../kit/result.ts";
import type { Runtime } from "../kit/runtime.ts";
import { sha256 } from "../kit/secrets.ts";

/** A client cannot hold a lease for longer by being slow to ask. */
const MARGIN_MS = 250;
const REMEMBERED = 10_000;
/** How long it may take until somebody who was imported counts as such. What a change ends, it ends at once (sessions/). */
const ACCOUNT_MS = 60_000;
const COOKIE_MAX_CHARACTERS = 1024;
/** Printable, and nothing a Cookie field could be split by. */
const COOKIE = /^[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]+$/;

/** An account as sessions/ needs it. */
export interface KnownAccount {
  readonly id: string;
  readonly username: string | null;
  readonly role: string;
  readonly status: "active" | "disabled";
  readonly revision: number;
}

export interface ExistingSession {
  readonly userId: string;
  /** The same for a cookie every time. */
  readonly sessionId: string;
  readonly account: KnownAccount;
  /** Whether the account is in our database. */
  readonly isLocal: boolean;
}

export interface ExistingSessions {
  /** The session a cookie stands for; null when the application knows none. Fails with `dependency_unavailable`. */
  find(cookie: string, requestId: string): Promise<Result<ExistingSession | null>>;
}

/** What the application and the database are asked; both made in services.ts. */
export interface ExistingSources {
  /** Asks the application whose `cookie` is. Rejects when it does not answer in time. */
  ask(cookie: string, requestId: string): Promise<Response>;
  accountById(id: string): Promise<Result<KnownAccount | null>>;
  accountByName(username: string): Promise<Result<KnownAccount | null>>;
}

const name = z.string().check(z.regex(/^[\x21-\x7e]{1,128}$/));
const answer = z
  .object({
    user_id: z.optional(z.union([name, z.pipe(z.int(), z.transform(String))])),
    username: z.optional(z.string().check(z.minLength(1), z.maxLength(128))),
    role: z.optional(z.string().check(z.regex(/^[a-z][a-z0-9_-]{0,31}$/))),
    expires_at: z.optional(z.number()),
  })
  .check(z.refine((body) => body.user_id !== undefined || body.username !== undefined));

type Answer = z.infer<typeof answer>;
type Found = Result<ExistingSession | null>;

const unavailable = fail({ code: "dependency_unavailable", dependency: "application" });

/** Statuses by which an application says that it knows no such session. */
const NOT_KNOWN: ReadonlySet<number> = new Set([401, 403, 404]);

async function sessionIdOf(cookie: string): Promise<string> {
  return toUuid((await sha256(utf8(`postern/existing-session/v1:${cookie}`))).subarray(0, 16));
}

export function createExistingSessions(sources: ExistingSources, leaseMs: number, runtime: Runtime): ExistingSessions {
  const known = new BoundedMap<string, { until: number; found: Promise<Found> }>(REMEMBERED);
  const accounts = new BoundedMap<string, { readonly account: KnownAccount | null; readonly until: number }>(
    REMEMBERED,
  );

  /** Null: the application knows no such session. */
  const ask = async (cookie: string, requestId: string): Promise<Result<Answer | null>> => {
    try {
      const response = await sources.ask(cookie, requestId);
      if (NOT_KNOWN.has(response.status)) return ok(null);
      if (response.status !== 200) throw new Error(`status ${response.status}`);
      const parsed = answer.parse(await response.json());
      const isOver = parsed.expires_at !== undefined && parsed.expires_at * 1000 <= runtime.now();
      return ok(isOver ? null : parsed);
    } catch (error) {
      log({ event: "dependency.failed", dependency: "application", error: describe(error) });
      return unavailable;
    }
  };

  const readAccount = async ({ user_id: id, username }: Answer): Promise<Result<KnownAccount | null>> => {
    const byId = id === undefined ? ok(null) : await sources.accountById(id);
    if (!byId.ok || byId.value !== null || username === undefined) return byId;
    return sources.accountByName(username);
  };

  const accountOf = async (said: Answer): Promise<Result<KnownAccount | null>> => {
    const user = `${said.user_id ?? ""} ${said.username ?? ""}`;
    const remembered = accounts.get(user);
    if (remembered !== undefined && runtime.now() < remembered.until) return ok(remembered.account);
    const account = await readAccount(said);
    if (account.ok) accounts.set(user, { account: account.value, until: runtime.now() + ACCOUNT_MS });
    return account;
  };

  const find = async (cookie: string, requestId: string): Promise<Found> => {
    const said = await ask(cookie, requestId);
    if (!said.ok || said.value === null) return said.ok ? ok(null) : said;
    const local = await accountOf(said.value);
    if (!local.ok) return local;
    const { user_id: id, username = null, role } = said.value;
    const foreign =
      id === undefined || role === undefined ? null : ({ id, username, role, status: "active", revision: 0 } as const);
    const account = local.value ?? foreign;
    if (account === null) return ok(null);
    return ok({ userId: account.id, sessionId: await sessionIdOf(cookie), account, isLocal: local.value !== null });
  };

  return {
    async find(cookie, requestId) {
      if (cookie.length > COOKIE_MAX_CHARACTERS || !COOKIE.test(cookie)) return ok(null);
      const remembered = known.get(cookie);
      if (remembered !== undefined && runtime.now() < remembered.until) return remembered.found;
      const found = find(cookie, requestId);
      const entry = { until: runtime.now() + leaseMs - MARGIN_MS, found };
      known.set(cookie, entry);
      // Kept alive for those who share it, and asked again by the next one if it came to nothing.
      const settle = async (): Promise<void> => {
        if (!(await found).ok) entry.until = 0;
      };
      runtime.waitUntil(settle());
      return found;
    },
  };
}
