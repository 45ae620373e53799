/**
 * Cookie sessions that Postern made: which cookie is whose, in D1, by a hash of the cookie. A row does not change its
 * meaning, so an isolate reads it once. Whether the session is still live is not known here: sessions/ has that, for
 * both kinds of session alike.
 */
import { BoundedMap } from "../kit/bounded-map.ts";
import { onDatabase } from "../kit/database.ts";
import { toBase64Url, toHex, utf8 } from "../kit/encoding.ts";
import { ok, type Result } from "../kit/result.ts";
import type { Runtime } from "../kit/runtime.ts";
import { sha256 } from "../kit/secrets.ts";

const COOKIE_BYTES = 32;
/** What a cookie of ours looks like; anything else is not looked up. */
const COOKIE = /^[A-Za-z0-9_-]{43}$/;
const REMEMBERED = 10_000;
/** A cookie that names no session will not begin to; this bounds how long memory is spent on it. */
const UNKNOWN_MS = 60_000;

export interface LegacySession {
  readonly userId: string;
  readonly sessionId: string;
  readonly username: string | null;
  /** Milliseconds since 1970: ends here in any case. */
  readonly expiresAt: number;
}

/** Every method may fail with `dependency_unavailable`. */
export interface LegacySessions {
  /** Records a session under a new cookie, and returns the cookie. */
  create(userId: string, sessionId: string): Promise<Result<string>>;
  /** The session a cookie stands for, live or not; null when Postern made none such. */
  find(cookie: string): Promise<Result<LegacySession | null>>;
  /** Records, for the report, a session that the existing application made. */
  adopt(cookie: string, userId: string, sessionId: string): Promise<Result<unknown>>;
  /** Notes that tokens were given for a session. */
  noteExchange(sessionId: string): Promise<Result<unknown>>;
  /** Forgets a session that has ended. */
  remove(sessionId: string): Promise<Result<unknown>>;
  /** Forgets the sessions that have expired. */
  sweep(): Promise<Result<unknown>>;
}

type Row = { user_id: string; session_id: string; username: string | null; expires_at: number };

const hashOf = async (cookie: string): Promise<string> => toHex(await sha256(utf8(cookie)));

export function createLegacySessions(database: D1Database, maxMs: number, runtime: Runtime): LegacySessions {
  const known = new BoundedMap<string, { readonly session: LegacySession | null; readonly until: number }>(REMEMBERED);

  const run = (sql: string, ...values: unknown[]): Promise<Result<unknown>> =>
    onDatabase(runtime, () =>
      database
        .prepare(sql)
        .bind(...values)
        .run(),
    );

  const insert = async (cookie: string, userId: string, sessionId: string, maker: string): Promise<Result<unknown>> => {
    const now = runtime.now();
    return run(
      `INSERT INTO legacy_sessions (id_hash, session_id, user_id, maker, created_at, last_seen_at, expires_at)
       VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6) ON CONFLICT DO NOTHING`,
      await hashOf(cookie),
      sessionId,
      userId,
      maker,
      now,
      now + maxMs,
    );
  };

  return {
    async create(userId, sessionId) {
      const cookie = toBase64Url(runtime.randomBytes(COOKIE_BYTES));
      const inserted = await insert(cookie, userId, sessionId, "postern");
      return inserted.ok ? ok(cookie) : inserted;
    },

    async find(cookie) {
      if (!COOKIE.test(cookie)) return ok(null);
      const remembered = known.get(cookie);
      if (remembered !== undefined && runtime.now() < remembered.until) return ok(remembered.session);
      const idHash = await hashOf(cookie);
      const row = await onDatabase(runtime, () =>
        database
          // It may have been written a moment ago, on the other side of the world.
          .withSession("first-primary")
          .prepare(
            `SELECT s.user_id, s.session_id, u.username, s.expires_at FROM legacy_sessions s
             LEFT JOIN users u ON u.id = s.user_id WHERE s.id_hash = ?1 AND s.maker = 'postern'`,
          )
          .bind(idHash)
          .first<Row>(),
      );
      if (!row.ok) return row;
      const { value } = row;
      const session = value && {
        userId: value.user_id,
        sessionId: value.session_id,
        username: value.username,
        expiresAt: value.expires_at,
      };
      known.set(cookie, { session, until: session?.expiresAt ?? runtime.now() + UNKNOWN_MS });
      return ok(session);
    },

    adopt: (cookie, userId, sessionId) => insert(cookie, userId, sessionId, "application"),

    noteExchange: (sessionId) =>
      run("UPDATE legacy_sessions SET exchanged_at = ?2 WHERE session_id = ?1", sessionId, runtime.now()),

    remove: (sessionId) => run("DELETE FROM legacy_sessions WHERE session_id = ?1", sessionId),

    sweep: () => run("DELETE FROM legacy_sessions WHERE expires_at <= ?1", runtime.now()),
  };
}
