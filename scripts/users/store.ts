/**
 * The database behind `npm run users`: the local one, opened in this process in the files that `npm run dev` uses, or a
 * deployed one by way of `wrangler d1 execute`, which brings the operator's own login. Both take SQL as text.
 */
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";

export interface Store {
  /** The rows of one SELECT. */
  read<T>(sql: string): Promise<T[]>;
  /** Runs the statements as one transaction. */
  write(statements: readonly string[]): Promise<void>;
  /** How many users to give to one {@link write}. */
  readonly batchUsers: number;
  close(): Promise<void>;
}

const LOCAL_BATCH_USERS = 1_000;
/** Each call starts wrangler, which takes a second or two; while it ingests a file the database serves nobody else. */
const REMOTE_BATCH_USERS = 5_000;
const OUTPUT_MAX_BYTES = 256 * 1024 * 1024;
const OWNER_ONLY = 0o600;

/** The id under which wrangler files the local database. */
async function databaseId(root: string): Promise<string> {
  const id = /^database_id = "(.+)"$/m.exec(await readFile(join(root, "wrangler.toml"), "utf8"))?.[1];
  if (id === undefined) throw new Error("wrangler.toml names no database_id");
  return id;
}

/**
 * Opens the local database.
 * @param root the folder of wrangler.toml
 * @param persistTo the folder given to wrangler as `--persist-to`
 */
export async function openLocal(root: string, persistTo: string): Promise<Store> {
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
  const database = await miniflare.getD1Database("DB");
  const store: Store = {
    batchUsers: LOCAL_BATCH_USERS,
    async read<T>(sql: string) {
      const { results } = await database.prepare(sql).all<T>();
      return results;
    },
    async write(statements) {
      await database.batch(statements.map((statement) => database.prepare(statement)));
    },
    close: () => miniflare.dispose(),
  };
  const [table] = await store.read("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'users'");
  if (table === undefined) {
    await store.close();
    throw new Error("the local database has no users table yet: npm run dev makes it");
  }
  return store;
}

/** What a call of wrangler does: a query whose rows come back, or a file to ingest. */
export type RemoteTask = { readonly command: string } | { readonly file: string };

/** The arguments of `wrangler` for a task on a deployed database. */
export function wranglerArguments(task: RemoteTask, environment: string | undefined): string[] {
  return [
    "d1",
    "execute",
    "DB",
    "--remote",
    "--yes",
    "--json",
    ...(environment === undefined ? [] : ["--env", environment]),
    // One argument each, so that no SQL can be taken for a flag.
    "command" in task ? `--command=${task.command}` : `--file=${task.file}`,
  ];
}

/** The rows in what `wrangler d1 execute --json` prints for one statement. */
export function rowsOf<T>(output: string): T[] {
  const [answer] = JSON.parse(output) as { results?: T[]; success?: boolean }[];
  if (answer?.success !== true || answer.results === undefined) throw new Error("wrangler did not report success");
  return answer.results;
}

/** The deployed database of a wrangler environment; the top-level one when `environment` is undefined. */
export function openRemote(root: string, environment: string | undefined): Store {
  const wrangler = (task: RemoteTask): Promise<string> => {
    const args = [join(root, "node_modules/wrangler/bin/wrangler.js"), ...wranglerArguments(task, environment)];
    const options = { cwd: root, maxBuffer: OUTPUT_MAX_BYTES };
    return new Promise((resolve, reject) => {
      execFile(process.execPath, args, options, (error, stdout, stderr) => {
        // Wrangler's own words; those of `error` repeat the command.
        if (error === null) resolve(stdout);
        else reject(new Error(`wrangler d1 execute failed:\n${stderr || stdout}`));
      });
    });
  };
  return {
    batchUsers: REMOTE_BATCH_USERS,
    read: async (sql) => rowsOf(await wrangler({ command: sql })),
    async write(statements) {
      const folder = await mkdtemp(join(tmpdir(), "postern-users-"));
      try {
        const file = join(folder, "statements.sql");
        await writeFile(file, statements.map((statement) => `${statement};\n`).join(""), { mode: OWNER_ONLY });
        await wrangler({ file });
      } finally {
        await rm(folder, { recursive: true });
      }
    },
    close: async () => {},
  };
}
