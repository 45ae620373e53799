/**
 * The commands of `npm run users`, on any store and any terminal. Every change goes by statements.ts; opening the store
 * and asking for a password is users.ts.
 */
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { open } from "node:fs/promises";
import { join, resolve } from "node:path";
import { finished } from "node:stream/promises";
import { parseArgs } from "node:util";
import { checkPassword } from "../../src/accounts/password-policy.ts";
import { isUsername, usernameKey } from "../../src/accounts/username.ts";
import { HELP } from "./help.ts";
import { hashPassword, uuidV7 } from "./identity.ts";
import { importUsers, isRole } from "./import.ts";
import type { Progress } from "./progress.ts";
import { insertUsers, selectUser, selectUsers, updateUser } from "./statements.ts";
import type { Store } from "./store.ts";

/** What the commands need of the machine. */
export interface World {
  openStore(flags: Flags): Promise<Store>;
  /** Whole lines, to the standard output. */
  print(text: string): void;
  readPassword(flags: Flags): Promise<string>;
  readonly progress: Progress;
  /** The standard output, for an export to no file. */
  readonly output: NodeJS.WritableStream;
}

const ROOT = resolve(import.meta.dirname, "../..");
const DEFAULT_MIN_LENGTH = 15;
const PAGE_USERS = 5_000;
const OWNER_ONLY = 0o600;
/** Exit status of a command that did nothing. */
export const EXIT_FAILED = 1;
/** Exit status of an import that rejected something. */
const EXIT_REJECTED = 2;

const OPTIONS = {
  remote: { type: "boolean", default: false },
  env: { type: "string" },
  "persist-to": { type: "string", default: ".wrangler/state" },
  role: { type: "string" },
  status: { type: "string" },
  query: { type: "string" },
  json: { type: "boolean", default: false },
  "password-stdin": { type: "boolean", default: false },
  "allow-weak": { type: "boolean", default: false },
  "dry-run": { type: "boolean", default: false },
  help: { type: "boolean", short: "h", default: false },
} as const;

const parse = (args: string[]) => parseArgs({ args, options: OPTIONS, allowPositionals: true });
export type Flags = ReturnType<typeof parse>["values"];

/** A path as it was meant where npm was called: npm itself has moved to the folder of package.json. */
const fromCaller = (path: string): string => resolve(process.env["INIT_CWD"] ?? ".", path);

/** A mistake of whoever typed the command, told in one line. */
export class UsageError extends Error {}

interface UserRow {
  readonly id: string;
  readonly username: string;
  readonly username_key: string;
  readonly role: string;
  readonly status: string;
  readonly password_hash?: string;
  readonly created_at: number;
  readonly updated_at: number;
}

/** A password by the policy of the deployment it is for, as a hash. */
async function newPasswordHash(username: string, flags: Flags, world: World): Promise<string> {
  const password = await world.readPassword(flags);
  if (flags["allow-weak"]) {
    if (flags.remote) throw new UsageError("--allow-weak is for the local database only");
    return hashPassword(password);
  }
  const { unstable_readConfig: readConfig } = await import("wrangler");
  const { vars } = readConfig({ config: join(ROOT, "wrangler.toml"), ...(flags.env && { env: flags.env }) });
  const reason = checkPassword(password, {
    minLength: Number(vars["PASSWORD_MIN_LENGTH"] ?? DEFAULT_MIN_LENGTH),
    username,
    issuerHost: URL.parse(String(vars["ISSUER"]))?.hostname ?? "",
  });
  if (reason !== null) throw new UsageError(reason);
  return hashPassword(password);
}

function roleOf(role: string): string {
  if (!isRole(role)) throw new UsageError("a role is a lower-case name of up to 32 letters, digits, - and _");
  return role;
}

async function create(store: Store, username: string, flags: Flags, world: World): Promise<string> {
  if (!isUsername(username)) throw new UsageError("that cannot be a username");
  const role = roleOf(flags.role ?? "user");
  const taken = await store.read(selectUser(username));
  if (taken.length > 0) throw new UsageError(`there is a user ${username} already`);
  const passwordHash = await newPasswordHash(username, flags, world);
  const now = Date.now();
  const id = uuidV7(now);
  const key = usernameKey(username);
  await store.write(
    insertUsers([{ id, username, usernameKey: key, passwordHash, role, status: "active", createdAt: now }]),
  );
  return `created ${username} (${role}) with id ${id}`;
}

/** Sets a column of a user who exists; says whether that changed anything. */
async function change(
  store: Store,
  username: string,
  column: "role" | "status" | "password_hash",
  value: (name: string) => string | Promise<string>,
): Promise<string> {
  const [user] = await store.read<{ username: string; role: string; status: string }>(selectUser(username));
  if (user === undefined) throw new UsageError(`there is no user ${username}`);
  const wanted = await value(user.username);
  if (column !== "password_hash" && user[column] === wanted) return `${user.username} is ${wanted} already`;
  await store.write([updateUser(username, column, wanted, Date.now())]);
  const outcome = column === "password_hash" ? "has a new password" : `is ${wanted} now`;
  return `${user.username} ${outcome}; sessions that are open go on as they are (see --help)`;
}

async function* pages(store: Store, columns: string, flags: Flags): AsyncGenerator<UserRow[]> {
  const filter = { query: flags.query, role: flags.role, status: flags.status };
  let after = "";
  for (;;) {
    const page = await store.read<UserRow>(selectUsers(columns, filter, after, PAGE_USERS));
    yield page;
    after = page.at(-1)?.username_key ?? "";
    if (page.length < PAGE_USERS) return;
  }
}

async function list(store: Store, flags: Flags, world: World): Promise<void> {
  for await (const page of pages(store, "id, username, username_key, role, status, created_at, updated_at", flags)) {
    const lines = page.map(({ id, username, role, status, created_at, updated_at }) => {
      const created = new Date(created_at).toISOString();
      const updated = new Date(updated_at).toISOString();
      return flags.json
        ? JSON.stringify({ id, username, role, status, created_at: created, updated_at: updated })
        : [id, role, status, created, username].join("\t");
    });
    if (lines.length > 0) world.print(lines.join("\n"));
  }
}

function csvCell(value: string): string {
  return /[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value;
}

async function exportUsers(store: Store, path: string | undefined, flags: Flags, world: World): Promise<string | null> {
  const csv = path !== undefined && /\.csv$/i.test(path);
  if (path !== undefined && !csv && !/\.jsonl$/i.test(path))
    throw new UsageError("only .csv and .jsonl can be written");
  const output =
    path === undefined
      ? world.output
      : // `wx`: an export never overwrites another.
        createWriteStream("", { fd: await open(path, "wx", OWNER_ONLY) });
  const names = ["id", "username", "role", "status", "created_at", "password_hash"] as const;
  if (csv) output.write(`${names.join(",")}\n`);
  let count = 0;
  for await (const page of pages(store, `${names.join(", ")}, username_key`, flags)) {
    const lines = page.map((row) => {
      const user = { ...row, created_at: new Date(row.created_at).toISOString() };
      return csv
        ? names.map((name) => csvCell(user[name] ?? "")).join(",")
        : JSON.stringify(Object.fromEntries(names.map((name) => [name, user[name]])));
    });
    if (lines.length > 0 && !output.write(`${lines.join("\n")}\n`)) {
      await once(output, "drain");
    }
    count += page.length;
  }
  if (path === undefined) return null;
  output.end();
  await finished(output);
  return `wrote ${count} users with their password hashes to ${path}`;
}

async function runImport(store: Store, path: string, flags: Flags, world: World): Promise<number> {
  const started = performance.now();
  const report = await importUsers(store, path, {
    role: roleOf(flags.role ?? "user"),
    dryRun: flags["dry-run"],
    now: Date.now(),
    progress: world.progress,
  });
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  const created = flags["dry-run"] ? "would be created" : "created";
  world.print(
    `${report.created} ${created}, ${report.existing} there already and left as they are, ${report.rejected} rejected, in ${seconds} s`,
  );
  if (report.rejectedFile === null) return 0;
  for (const [reason, count] of report.reasons) world.print(`  ${count} rejected: ${reason}`);
  world.print(`Every rejected record, with its line: ${report.rejectedFile}`);
  return EXIT_REJECTED;
}

async function run(
  store: Store,
  command: string,
  operands: readonly string[],
  flags: Flags,
  world: World,
): Promise<number> {
  const [first = "", second = ""] = operands;
  switch (command) {
    case "create":
      world.print(await create(store, first, flags, world));
      return 0;
    case "list":
      await list(store, flags, world);
      return 0;
    case "set-role":
      world.print(await change(store, first, "role", () => roleOf(second)));
      return 0;
    case "set-password":
      world.print(await change(store, first, "password_hash", (name) => newPasswordHash(name, flags, world)));
      return 0;
    case "disable":
    case "enable":
      world.print(await change(store, first, "status", () => (command === "enable" ? "active" : "disabled")));
      return 0;
    case "import":
      return runImport(store, fromCaller(first), flags, world);
    case "export": {
      const outcome = await exportUsers(
        store,
        operands[0] === undefined ? undefined : fromCaller(operands[0]),
        flags,
        world,
      );
      if (outcome !== null) world.print(outcome);
      return 0;
    }
    default:
      throw new Error(`${command} is listed and not implemented`);
  }
}

/** How many operands each command takes, least and most. */
const OPERANDS: Readonly<Record<string, readonly [number, number]>> = {
  create: [1, 1],
  list: [0, 0],
  "set-role": [2, 2],
  "set-password": [1, 1],
  disable: [1, 1],
  enable: [1, 1],
  import: [1, 1],
  export: [0, 1],
};

/**
 * Runs one command line and returns the exit status.
 * @throws UsageError, or whatever the database or a file said
 */
export async function runCommandLine(args: string[], world: World): Promise<number> {
  const { values: flags, positionals } = parse(args);
  const [command, ...operands] = positionals;
  if (flags.help || command === undefined) {
    world.print(HELP);
    return flags.help ? 0 : EXIT_FAILED;
  }
  const arity = OPERANDS[command];
  if (arity === undefined) throw new UsageError(`there is no command ${command}: see npm run users -- --help`);
  if (operands.length < arity[0] || operands.length > arity[1]) {
    throw new UsageError(`${command} does not take ${operands.length} operands: see npm run users -- --help`);
  }
  if (flags.env !== undefined && !flags.remote) throw new UsageError("--env goes with --remote");
  const store = await world.openStore(flags);
  try {
    return await run(store, command, operands, flags, world);
  } finally {
    await store.close();
  }
}
