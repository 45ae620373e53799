/**
 * Users as an operator handles them: list, create, change, delete. Not here: that a change counts at once in live
 * sessions (sessions/), who may do it (doors/admin.ts). One administrator always remains, by a condition inside each
 * statement, so that two admins demoting each other cannot both succeed.
 */
import { onDatabase } from "../kit/database.ts";
import { uuidV7 } from "../kit/encoding.ts";
import { fail, ok, type Result } from "../kit/result.ts";
import type { Runtime } from "../kit/runtime.ts";
import type { Account } from "./accounts.ts";
import type { PasswordHasher } from "./password-hash.ts";
import { usernameKey } from "./username.ts";

export interface DirectoryEntry extends Account {
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  readonly updatedAt: number;
}

export interface DirectoryQuery {
  /** The beginning of a username, in any spelling. */
  readonly query: string | null;
  readonly role: string | null;
  readonly status: Account["status"] | null;
  /** The id of the last entry of the page before. */
  readonly cursor: string | null;
  readonly limit: number;
}

/** What to change; what is absent stays. */
export interface AccountChange {
  readonly role?: string | undefined;
  readonly status?: Account["status"] | undefined;
  readonly password?: string | undefined;
}

export interface Changed {
  readonly before: DirectoryEntry;
  readonly after: DirectoryEntry;
}

/** Every method may fail with `dependency_unavailable`. */
export interface Directory {
  list(
    query: DirectoryQuery,
  ): Promise<Result<{ readonly users: readonly DirectoryEntry[]; readonly next: string | null }>>;
  /** Fails with `not_found`. */
  get(userId: string): Promise<Result<DirectoryEntry>>;
  /** Fails with `username_taken`. */
  create(username: string, password: string, role: string): Promise<Result<DirectoryEntry>>;
  /** Fails with `not_found`, and with `invalid_request` where no active administrator would be left. */
  change(userId: string, change: AccountChange): Promise<Result<Changed>>;
  /** Deletes and returns what was there. Fails as {@link Directory.change}. */
  remove(userId: string): Promise<Result<DirectoryEntry>>;
}

interface Row {
  id: string;
  username: string;
  role: string;
  status: Account["status"];
  revision: number;
  created_at: number;
  updated_at: number;
}

const COLUMNS = "id, username, role, status, revision, created_at, updated_at";
const ANOTHER_ADMIN = "EXISTS (SELECT 1 FROM users WHERE role = 'admin' AND status = 'active' AND id <> ?1)";

const lastAdmin = fail({
  code: "invalid_request",
  detail: "The last active administrator can be neither demoted nor disabled nor deleted.",
});

function toEntry({ created_at: createdAt, updated_at: updatedAt, ...account }: Row): DirectoryEntry {
  return { ...account, createdAt, updatedAt };
}

export function createDirectory(database: D1Database, hasher: PasswordHasher, runtime: Runtime): Directory {
  const first = (statement: () => D1PreparedStatement): Promise<Result<Row | null>> =>
    onDatabase(runtime, () => statement().first<Row>());

  const get = async (userId: string): Promise<Result<DirectoryEntry>> => {
    const row = await first(() =>
      database.withSession("first-primary").prepare(`SELECT ${COLUMNS} FROM users WHERE id = ?1`).bind(userId),
    );
    if (!row.ok) return row;
    return row.value === null ? fail({ code: "not_found" }) : ok(toEntry(row.value));
  };

  return {
    get,

    async list({ query, role, status, cursor, limit }) {
      const prefix = query === null ? null : usernameKey(query);
      const rows = await onDatabase(runtime, () =>
        database
          .withSession("first-primary")
          .prepare(
            `SELECT ${COLUMNS} FROM users
             WHERE (?1 IS NULL OR substr(username_key, 1, length(?1)) = ?1) AND (?2 IS NULL OR role = ?2)
               AND (?3 IS NULL OR status = ?3) AND (?4 IS NULL OR id > ?4)
             ORDER BY id LIMIT ?5`,
          )
          .bind(prefix, role, status, cursor, limit + 1)
          .all<Row>(),
      );
      if (!rows.ok) return rows;
      const users = rows.value.results.slice(0, limit).map(toEntry);
      return ok({ users, next: rows.value.results.length > limit ? (users.at(-1)?.id ?? null) : null });
    },

    async create(username, password, role) {
      const now = runtime.now();
      const id = uuidV7(now, runtime.randomBytes(10));
      const row = await first(() =>
        database
          .prepare(
            `INSERT INTO users (id, username, username_key, password_hash, role, created_at, updated_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6)
             ON CONFLICT (username_key) DO UPDATE SET username = username RETURNING ${COLUMNS}`,
          )
          .bind(id, username, usernameKey(username), hasher.hash(password), role, now),
      );
      if (!row.ok) return row;
      // After a conflict it is the other's row that comes back; after a retry it is ours.
      return row.value?.id === id ? ok(toEntry(row.value)) : fail({ code: "username_taken" });
    },

    async change(userId, { role, status, password }) {
      const before = await get(userId);
      if (!before.ok) return before;
      const row = await first(() =>
        database
          .prepare(
            `UPDATE users SET role = coalesce(?2, role), status = coalesce(?3, status),
               password_hash = coalesce(?4, password_hash), revision = revision + 1, updated_at = ?5
             WHERE id = ?1 AND (role <> 'admin' OR status <> 'active'
               OR (coalesce(?2, role) = 'admin' AND coalesce(?3, status) = 'active') OR ${ANOTHER_ADMIN})
             RETURNING ${COLUMNS}`,
          )
          .bind(
            userId,
            role ?? null,
            status ?? null,
            password === undefined ? null : hasher.hash(password),
            runtime.now(),
          ),
      );
      if (!row.ok) return row;
      return row.value === null ? lastAdmin : ok({ before: before.value, after: toEntry(row.value) });
    },

    async remove(userId) {
      const before = await get(userId);
      if (!before.ok) return before;
      const row = await first(() =>
        database
          .prepare(
            `DELETE FROM users WHERE id = ?1 AND (role <> 'admin' OR status <> 'active' OR ${ANOTHER_ADMIN})
             RETURNING ${COLUMNS}`,
          )
          .bind(userId),
      );
      if (!row.ok) return row;
      return row.value === null ? lastAdmin : ok(before.value);
    },
  };
}
