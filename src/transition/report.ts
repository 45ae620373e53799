/**
 * The figures as they are stored and read: sums per day and client, and who is still on a session. For the decision when
 * to go on, and for the mails to those who have not moved.
 */
import { onDatabase } from "../kit/database.ts";
import { describe, log } from "../kit/log.ts";
import { ok, type Result } from "../kit/result.ts";
import type { Runtime } from "../kit/runtime.ts";
import type { Credential, Sum } from "./figures.ts";

const DAY_MS = 86_400_000;

/** What one client family did by one credential on one day. */
export interface FigureRow {
  /** YYYY-MM-DD, UTC. */
  readonly day: string;
  readonly client: string;
  readonly credential: Credential;
  readonly logins: number;
  readonly exchanges: number;
  readonly requests: number;
}

export interface DayShare {
  readonly day: string;
  /** Of the requests, those by access token: 0 to 1; null on a day without any. */
  readonly jwtRequests: number | null;
  readonly jwtLogins: number | null;
}

export interface Summary {
  /** Newest day first. */
  readonly days: readonly DayShare[];
  readonly figures: readonly FigureRow[];
}

/** Somebody who used a session, and has not exchanged it since. */
export interface SessionUser {
  readonly user_id: string;
  /** Null for a user who has no account here. */
  readonly username: string | null;
  readonly role: string | null;
  readonly sessions: number;
  /** Milliseconds since 1970, up to an hour early. */
  readonly last_seen_at: number;
}

/** Reading may fail with `dependency_unavailable`. */
export interface Report {
  add(sums: readonly Sum[], seen: readonly string[], now: number): Promise<void>;
  /** The last `days` days, today included. */
  summary(days: number): Promise<Result<Summary>>;
  /** A page of the users still on sessions, by id, from after `cursor`. */
  usersOnSessions(cursor: string | null, limit: number): Promise<Result<readonly SessionUser[]>>;
}

function share(figures: readonly FigureRow[], day: string, of: "logins" | "requests"): number | null {
  const sum = (credential: Credential): number =>
    figures.reduce((n, row) => n + (row.day === day && row.credential === credential ? row[of] : 0), 0);
  const jwt = sum("jwt");
  const all = jwt + sum("session");
  return all === 0 ? null : jwt / all;
}

/** @param idleMs a session unused for so long has ended */
export function createReport(database: D1Database, idleMs: number, runtime: Runtime): Report {
  return {
    async add(sums, seen, now) {
      const statements = [
        database
          .prepare(
            `INSERT INTO transition_figures (day, client, credential, event, count)
             SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4 FROM json_each(?1) WHERE true
             ON CONFLICT DO UPDATE SET count = count + excluded.count`,
          )
          .bind(JSON.stringify(sums)),
        database
          .prepare(
            `UPDATE legacy_sessions SET last_seen_at = max(last_seen_at, ?2)
             WHERE session_id IN (SELECT value FROM json_each(?1))`,
          )
          .bind(JSON.stringify(seen), now),
      ];
      try {
        await database.batch(statements);
      } catch (error) {
        log({ event: "dependency.failed", dependency: "database", error: describe(error) });
      }
    },

    async summary(days) {
      const since = new Date(runtime.now() - (days - 1) * DAY_MS).toISOString().slice(0, 10);
      const read = await onDatabase(runtime, () =>
        database
          .prepare(
            `SELECT day, client, credential,
               sum(CASE event WHEN 'login' THEN count ELSE 0 END) AS logins,
               sum(CASE event WHEN 'exchange' THEN count ELSE 0 END) AS exchanges,
               sum(CASE event WHEN 'request' THEN count ELSE 0 END) AS requests
             FROM transition_figures WHERE day >= ?1 GROUP BY day, client, credential
             ORDER BY day DESC, client, credential`,
          )
          .bind(since)
          .all<FigureRow>(),
      );
      if (!read.ok) return read;
      const figures = read.value.results;
      const dates = [...new Set(figures.map(({ day }) => day))];
      return ok({
        figures,
        days: dates.map((day) => ({
          day,
          jwtRequests: share(figures, day, "requests"),
          jwtLogins: share(figures, day, "logins"),
        })),
      });
    },

    async usersOnSessions(cursor, limit) {
      const read = await onDatabase(runtime, () =>
        database
          .prepare(
            `SELECT s.user_id, u.username, u.role, count(*) AS sessions, max(s.last_seen_at) AS last_seen_at
             FROM legacy_sessions s LEFT JOIN users u ON u.id = s.user_id
             WHERE s.expires_at > ?1 AND s.last_seen_at > ?1 - ?2 AND s.user_id > ?3
               AND (s.exchanged_at IS NULL OR s.last_seen_at > s.exchanged_at)
             GROUP BY s.user_id ORDER BY s.user_id LIMIT ?4`,
          )
          .bind(runtime.now(), idleMs, cursor ?? "", limit)
          .all<SessionUser>(),
      );
      return read.ok ? ok(read.value.results) : read;
    },
  };
}

/** A field of a CSV file (RFC 4180); what a spreadsheet would take for a formula is made text. */
function csvField(value: string | number | null): string {
  const text = String(value ?? "");
  const harmless = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
}

/** Users as CSV, with a header line. */
export function usersCsv(users: readonly SessionUser[]): string {
  const lines = users.map((user) =>
    [user.user_id, user.username, user.role, user.sessions, new Date(user.last_seen_at).toISOString()].map(csvField),
  );
  return [["user_id", "username", "role", "sessions", "last_seen_at"], ...lines]
    .map((line) => `${line.join(",")}\r\n`)
    .join("");
}
