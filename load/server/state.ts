// The database a load server starts from: migrations applied, users in it. They are written into D1's own SQLite file
// while no runtime has it open, since a million of them through D1 would take minutes.
import { existsSync, globSync, mkdtempSync, readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { compatibilityDate, ROOT } from "./build.ts";

/** The D1 database's id, from which its file's name follows. */
export const DATABASE_ID = "postern";
const MEMORY_FILES = "/dev/shm";
const BATCH_ROWS = 100_000;

export const PASSWORD = "correct horse battery staple";

/** What user `i` is called. */
export function userName(i: number): string {
  return `user-${i}`;
}

/** A UUIDv7 by its form; the last 12 digits are the user's number. */
function userId(i: number): string {
  return `01900000-0000-7000-8000-${i.toString(16).padStart(12, "0")}`;
}

/** A new directory, in memory where the machine has a place for that. */
export function stateDirectory(state: "memory" | "disk"): string {
  const parent = state === "memory" && existsSync(MEMORY_FILES) ? MEMORY_FILES : tmpdir();
  return mkdtempSync(join(parent, "postern-load-"));
}

/** Argon2id of {@link PASSWORD}, at the parameters Postern uses. */
export async function hashOfPassword(): Promise<string> {
  const { default: initialize } = await import("@phi-ag/argon2/node");
  const argon2 = await initialize();
  return argon2.hash(PASSWORD, { memoryCost: 19_456, timeCost: 2, parallelism: 1 }).encoded;
}

/** The statements of all migrations, in order. */
export function migrations(): string[] {
  return readdirSync(join(ROOT, "migrations"))
    .toSorted()
    .flatMap((file) =>
      readFileSync(join(ROOT, "migrations", file), "utf8")
        .replaceAll(/--.*$/gm, "")
        .split(";"),
    )
    .filter((statement) => statement.trim() !== "");
}

/** Has the runtime create the database, so that its file lies where the runtime will look for it. */
async function createDatabase(directory: string): Promise<void> {
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      resourcePersistencePath: directory,
      modules: true,
      script: "export default { fetch: () => new Response() }",
      compatibilityDate: compatibilityDate(),
      d1Databases: { DB: DATABASE_ID },
    }),
  );
  try {
    const database = await miniflare.getD1Database("DB");
    for (const statement of migrations()) await database.prepare(statement).run();
  } finally {
    await miniflare.dispose();
  }
}

function hasUsers(file: string): boolean {
  const database = new DatabaseSync(file);
  try {
    return database.prepare("SELECT 1 FROM sqlite_master WHERE name = 'users'").get() !== undefined;
  } finally {
    database.close();
  }
}

/** Writes the users from number `from` up to `to`, exclusive. */
function insertUsers(file: string, from: number, to: number, hash: string): void {
  const database = new DatabaseSync(file);
  try {
    const insert = database.prepare("INSERT INTO users VALUES (?1, ?2, ?2, ?3, 'user', 'active', 1, 0, 0)");
    for (let start = from; start < to; start += BATCH_ROWS) {
      database.exec("BEGIN");
      for (let i = start; i < Math.min(to, start + BATCH_ROWS); i++) insert.run(userId(i), userName(i), hash);
      database.exec("COMMIT");
    }
  } finally {
    database.close();
  }
}

/** Creates the database in `directory`, with `users` users who all have {@link PASSWORD}. */
export async function createState(directory: string, users: number): Promise<void> {
  await createDatabase(directory);
  const file = globSync("**/*.sqlite", { cwd: directory })
    .map((name) => join(directory, name))
    .find(hasUsers);
  if (file === undefined) throw new Error(`no D1 database with users under ${directory}`);
  if (users > 0) insertUsers(file, 0, users, await hashOfPassword());
}
