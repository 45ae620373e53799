/**
 * The SQL of `npm run users`, with its values inside: one text serves the local database and `wrangler d1 execute`, which
 * takes no parameters. Every value goes through {@link literal}. Each change of password, role or status raises the
 * revision, by which the Worker tells an older reading from a newer one.
 */
import { usernameKey } from "../../src/accounts/username.ts";

export type Status = "active" | "disabled";

export interface NewUser {
  readonly id: string;
  readonly username: string;
  readonly usernameKey: string;
  readonly passwordHash: string;
  readonly role: string;
  readonly status: Status;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
}

/** D1 refuses a statement of more than 100,000 bytes. */
const STATEMENT_MAX_BYTES = 90_000;

/** A value as SQL. Numbers are whole; a text must not hold U+0000, at which SQLite would end it. */
export function literal(value: string | number): string {
  if (typeof value === "number") {
    if (!Number.isSafeInteger(value)) throw new Error("only whole numbers go into SQL");
    return String(value);
  }
  if (value.includes("\0")) throw new Error("U+0000 cannot go into SQL");
  return `'${value.replaceAll("'", "''")}'`;
}

const INSERT =
  "INSERT INTO users (id, username, username_key, password_hash, role, status, created_at, updated_at) VALUES\n";

/** Inserts that leave alone whoever is there already, each as long as D1 allows. */
export function insertUsers(users: readonly NewUser[]): string[] {
  const statements: string[] = [];
  let rows: string[] = [];
  let size = 0;
  const flush = (): void => {
    if (rows.length > 0) statements.push(`${INSERT}${rows.join(",\n")}\nON CONFLICT DO NOTHING`);
    rows = [];
    size = 0;
  };
  for (const { id, username, usernameKey: key, passwordHash, role, status, createdAt } of users) {
    const row = `(${[id, username, key, passwordHash, role, status, createdAt, createdAt].map(literal).join(", ")})`;
    const bytes = Buffer.byteLength(row) + 2;
    if (size + bytes > STATEMENT_MAX_BYTES) flush();
    rows.push(row);
    size += bytes;
  }
  flush();
  return statements;
}

/** Sets one column of one user, unless it has that value already. */
export function updateUser(
  username: string,
  column: "role" | "status" | "password_hash",
  value: string,
  now: number,
): string {
  return (
    `UPDATE users SET ${column} = ${literal(value)}, revision = revision + 1, updated_at = ${literal(now)} ` +
    `WHERE username_key = ${literal(usernameKey(username))} AND ${column} <> ${literal(value)}`
  );
}

export interface UserFilter {
  readonly query?: string | undefined;
  readonly role?: string | undefined;
  readonly status?: string | undefined;
}

/**
 * One page of users by name, those after the key `after`.
 * @param columns names of columns, from this program only
 */
export function selectUsers(columns: string, filter: UserFilter, after: string, limit: number): string {
  const conditions = [`username_key > ${literal(after)}`];
  if (filter.query !== undefined) conditions.push(`instr(username_key, ${literal(usernameKey(filter.query))}) > 0`);
  if (filter.role !== undefined) conditions.push(`role = ${literal(filter.role)}`);
  if (filter.status !== undefined) conditions.push(`status = ${literal(filter.status)}`);
  const where = conditions.join(" AND ");
  return `SELECT ${columns} FROM users WHERE ${where} ORDER BY username_key LIMIT ${literal(limit)}`;
}

/** The user of that name, in whatever spelling. */
export function selectUser(username: string): string {
  return `SELECT username, role, status FROM users WHERE username_key = ${literal(usernameKey(username))}`;
}
