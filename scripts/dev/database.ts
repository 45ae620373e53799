/**
 * The local D1 database: brought up to date, with two demo users in it. Opened with Miniflare, in this process and in
 * the files that `wrangler dev` will use, since two runs of `wrangler d1` would cost three seconds at every start. The
 * books it keeps are wrangler's: `wrangler d1 migrations list DB --local` agrees. Never touches a deployed database.
 */
import { randomBytes } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { Argon2Type } from "@phi-ag/argon2";
import createArgon2 from "@phi-ag/argon2/node";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { usernameKey } from "../../src/accounts/username.ts";
import { DEMO_USERS } from "./demo-users.ts";

/** The parameters of src/accounts/password-hash.ts; with others a login would still work, and hash anew. */
const ARGON2ID = { type: Argon2Type.Argon2id, memoryCost: 19_456, timeCost: 2, parallelism: 1, hashLength: 32 };
const SALT_BYTES = 16;

/** As wrangler creates it. */
const MIGRATIONS_TABLE = `CREATE TABLE IF NOT EXISTS d1_migrations (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  name       TEXT UNIQUE,
  applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL
)`;

const INSERT_USER = `INSERT OR IGNORE INTO users (id, username, username_key, password_hash, role, created_at, updated_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6)`;

type Database = Awaited<ReturnType<Miniflare["getD1Database"]>>;

/** The id under which wrangler files the local database; the only line of wrangler.toml that is needed here. */
async function databaseId(root: string): Promise<string> {
  const id = /^database_id = "(.+)"$/m.exec(await readFile(join(root, "wrangler.toml"), "utf8"))?.[1];
  if (id === undefined) throw new Error("wrangler.toml names no database_id");
  return id;
}

async function applyMigrations(database: Database, folder: string): Promise<string[]> {
  await database.prepare(MIGRATIONS_TABLE).run();
  const { results } = await database.prepare("SELECT name FROM d1_migrations").all<{ name: string }>();
  const applied = new Set(results.map(({ name }) => name));
  const files = await readdir(folder);
  const pending = files.filter((name) => name.endsWith(".sql") && !applied.has(name)).toSorted();
  for (const name of pending) {
    const sql = await readFile(join(folder, name), "utf8");
    const statements = `${sql}\nINSERT INTO d1_migrations (name) VALUES ('${name}')`;
    try {
      // A batch is one transaction: the migration and its entry in the books come together or not at all.
      await database.batch([database.prepare(statements)]);
    } catch (cause) {
      throw new Error(`migration ${name} failed, and nothing of it was kept`, { cause });
    }
  }
  return pending;
}

async function createDemoUsers(database: Database): Promise<string[]> {
  const { results } = await database.prepare("SELECT username_key AS key FROM users").all<{ key: string }>();
  const present = new Set(results.map(({ key }) => key));
  const absent = DEMO_USERS.filter(({ username }) => !present.has(usernameKey(username)));
  if (absent.length === 0) return [];

  const argon2 = await createArgon2();
  const insert = database.prepare(INSERT_USER);
  await database.batch(
    absent.map(({ id, username, password, role }) => {
      const { encoded } = argon2.hash(password, { ...ARGON2ID, salt: randomBytes(SALT_BYTES) });
      return insert.bind(id, username, usernameKey(username), encoded, role, Date.now());
    }),
  );
  return absent.map(({ username }) => username);
}

/**
 * Applies the pending migrations, creates the demo users that are absent, and says what it did.
 * @param root the folder of wrangler.toml
 * @param persistTo the folder given to wrangler as `--persist-to`
 */
export async function prepareDatabase(
  root: string,
  persistTo: string,
): Promise<{ applied: string[]; created: string[] }> {
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      modules: true,
      script: "export default {}",
      cf: false,
      d1Databases: { DB: await databaseId(root) },
      // Wrangler keeps the version of the layout as a folder of its own.
      resourcePersistencePath: join(persistTo, "v3"),
    }),
  );
  try {
    const database = await miniflare.getD1Database("DB");
    return {
      applied: await applyMigrations(database, join(root, "migrations")),
      created: await createDemoUsers(database),
    };
  } finally {
    await miniflare.dispose();
  }
}
