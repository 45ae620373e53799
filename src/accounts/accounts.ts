/**
 * Users in D1: looked up by name for a login, by id for a session. Passwords are checked here and nowhere else.
 * Not here: what a login is worth (sessions/), how often it may be tried (limits/).
 */
import { onDatabase } from "../kit/database.ts";
import { uuidV7 } from "../kit/encoding.ts";
import { fail, ok, type Result } from "../kit/result.ts";
import type { Runtime } from "../kit/runtime.ts";
import type { ImportedHashes } from "./imported-hash.ts";
import { needsRehash, type PasswordHasher } from "./password-hash.ts";
import { usernameKey } from "./username.ts";

export interface Account {
  /** UUIDv7; the `sub` of its tokens. */
  readonly id: string;
  readonly username: string;
  readonly role: string;
  readonly status: "active" | "disabled";
  /** Grows with every change of password, role or status, so that an older reading can be told from a newer one. */
  readonly revision: number;
}

/** An account with what its password is checked against. Opaque outside this folder. */
export interface Credentials {
  readonly account: Account;
  readonly passwordHash: string;
}

export interface Accounts {
  /** Reads the account a login names; null when there is none. One D1 query, from the primary. */
  lookup(username: string): Promise<Result<Credentials | null>>;
  /**
   * Checks a password, at the same cost whether or not the account exists; an imported hash is replaced by our own when
   * the password was right. Fails with `invalid_credentials`, and with
   * `account_disabled` only after a right password.
   */
  authenticate(found: Credentials | null, password: string): Promise<Result<Account>>;
  /** The account and its hash by id; null when there is none. */
  find(userId: string): Promise<Result<Credentials | null>>;
  /** Replaces the password and returns the account's new revision, or null when it changed in the meantime. */
  changePassword(credentials: Credentials, password: string): Promise<Result<number | null>>;
  /** Creates an active account with role `user`. Fails with `username_taken`. */
  create(username: string, password: string): Promise<Result<Account>>;
}

interface UserRow {
  id: string;
  username: string;
  password_hash: string;
  role: string;
  status: "active" | "disabled";
  revision: number;
}

const COLUMNS = "id, username, password_hash, role, status, revision";

function toCredentials(row: UserRow): Credentials {
  const { id, username, role, status, revision, password_hash: passwordHash } = row;
  return { account: { id, username, role, status, revision }, passwordHash };
}

export function createAccounts(
  database: D1Database,
  hasher: PasswordHasher,
  hashes: ImportedHashes,
  runtime: Runtime,
): Accounts {
  const readOne = (condition: string, value: string): Promise<Result<Credentials | null>> =>
    onDatabase(runtime, async () => {
      const row = await database
        // Credentials and status must not be a replica's yesterday.
        .withSession("first-primary")
        .prepare(`SELECT ${COLUMNS} FROM users WHERE ${condition} = ?1`)
        .bind(value)
        .first<UserRow>();
      return row === null ? null : toCredentials(row);
    });

  const upgradeHash = (credentials: Credentials, password: string): void => {
    const { account, passwordHash } = credentials;
    const upgraded = hasher.hash(password);
    runtime.waitUntil(
      onDatabase(runtime, () =>
        database
          .prepare("UPDATE users SET password_hash = ?1, updated_at = ?2 WHERE id = ?3 AND password_hash = ?4")
          .bind(upgraded, runtime.now(), account.id, passwordHash)
          .run(),
      ),
    );
  };

  return {
    lookup: (username) => readOne("username_key", usernameKey(username)),
    find: (userId) => readOne("id", userId),

    async authenticate(found, password) {
      if (found === null) {
        hasher.pretend(password);
        return fail({ code: "invalid_credentials" });
      }
      if (!(await hashes.verify(found.passwordHash, password))) return fail({ code: "invalid_credentials" });
      if (found.account.status === "disabled") return fail({ code: "account_disabled" });
      if (needsRehash(found.passwordHash)) upgradeHash(found, password);
      return ok(found.account);
    },

    changePassword({ account, passwordHash }, password) {
      const next = hasher.hash(password);
      return onDatabase(runtime, async () => {
        // The old hash in the condition makes it a compare-and-set; the new one in it makes a retry come out the same.
        const row = await database
          .prepare(
            `UPDATE users SET password_hash = ?1, updated_at = ?2, revision = revision + (password_hash <> ?1)
             WHERE id = ?3 AND password_hash IN (?4, ?1) RETURNING revision`,
          )
          .bind(next, runtime.now(), account.id, passwordHash)
          .first<{ revision: number }>();
        return row?.revision ?? null;
      });
    },

    async create(username, password) {
      const now = runtime.now();
      const account: Account = {
        id: uuidV7(now, runtime.randomBytes(10)),
        username,
        role: "user",
        status: "active",
        revision: 1,
      };
      const inserted = await onDatabase(runtime, () =>
        database
          .prepare(
            `INSERT INTO users (id, username, username_key, password_hash, role, status, revision, created_at, updated_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8)
             ON CONFLICT (username_key) DO UPDATE SET username = username RETURNING id`,
          )
          .bind(
            account.id,
            username,
            usernameKey(username),
            hasher.hash(password),
            account.role,
            account.status,
            account.revision,
            now,
          )
          .first<{ id: string }>(),
      );
      if (!inserted.ok) return inserted;
      return inserted.value?.id === account.id ? ok(account) : fail({ code: "username_taken" });
    },
  };
}
