/**
 * `npm run users`: users from the command line, in the local database or, with --remote, in a deployed one. For the first
 * admin, for moving in from another system, for moving out. It changes rows only: see the note in --help about sessions.
 */
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { open } from "node:fs/promises";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline/promises";
import { finished } from "node:stream/promises";
import { text } from "node:stream/consumers";
import { Writable } from "node:stream";
import { parseArgs } from "node:util";
import { checkPassword } from "../src/accounts/password-policy.ts";
import { isUsername, usernameKey } from "../src/accounts/username.ts";
import { hashPassword, uuidV7 } from "./users/identity.ts";
import { importUsers, isRole } from "./users/import.ts";
import { progressOn } from "./users/progress.ts";
import { insertUsers, selectUser, selectUsers, updateUser } from "./users/statements.ts";
import { openLocal, openRemote, type Store } from "./users/store.ts";

const ROOT = resolve(import.meta.dirname, "..");
const DEFAULT_MIN_LENGTH = 15;
const PAGE_USERS = 5_000;
const OWNER_ONLY = 0o600;
const EXIT_FAILED = 1;
const EXIT_REJECTED = 2;

const HELP = `Usage: npm run users -- COMMAND [options]

  create NAME                 a new user; asks for the password
  list                        users by name, tab-separated (--json: one object a line)
  set-role NAME ROLE
  set-password NAME           asks for the password
  disable NAME | enable NAME
  import FILE                 FILE.csv (with a header) or FILE.jsonl
  export [FILE]               to FILE.csv or FILE.jsonl; without one, JSON lines to the standard output

Which database
  --persist-to DIR            the local one in DIR, as in npm run dev (default: .wrangler/state)
  --remote                    the deployed one, through wrangler and its login
  --env NAME                  with --remote: the environment in wrangler.toml

Options
  --role ROLE                 create, import: role of new users (default: user); list: only these
  --status active|disabled    list: only these
  --query TEXT                list: only names that contain it
  --json                      list: JSON lines
  --password-stdin            create, set-password: the first line of the standard input is the password
  --allow-weak                create, set-password, local only: do without the password policy
  --dry-run                   import: judge the file, change nothing

Files
  Fields: username and password_hash; optional role, status (active, disabled), id (a UUID), created_at (ISO 8601 or
  milliseconds). Others are ignored. Hashes: Argon2, bcrypt, Werkzeug scrypt: and pbkdf2:, Django pbkdf2_sha256,
  pbkdf2_sha1, scrypt, argon2, bcrypt, bcrypt_sha256; docs/security/passwords.md has the bounds. Passwords in plain text
  are never taken. A name that exists is left as it is, so an import can be repeated, and is resumed by repeating it.
  Rejected records go to FILE.rejected.jsonl with line and reason, and the exit status is 2. An export holds password
  hashes: keep it as you would keep the database.

Sessions
  A change made here takes effect at the next login. A session that is open keeps the role it has, and goes on after
  disable and set-password, until it ends by itself: to reach open sessions at once use the admin API
  (PATCH /admin/users/{id}, DELETE /admin/users/{id}/sessions).
`;

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
type Flags = ReturnType<typeof parse>["values"];

/** A path as it was meant where npm was called: npm itself has moved to the folder of package.json. */
const fromCaller = (path: string): string => resolve(process.env["INIT_CWD"] ?? ".", path);

/** A mistake of whoever typed the command, told in one line. */
class UsageError extends Error {}

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

/** Asks on the terminal, showing nothing of the answer. */
async function askHidden(question: string): Promise<string> {
  process.stderr.write(question);
  const mute = new Writable({ write: (_chunk, _encoding, done) => done() });
  const terminal = createInterface({ input: process.stdin, output: mute, terminal: true });
  try {
    return await terminal.question("");
  } finally {
    terminal.close();
    process.stderr.write("\n");
  }
}

async function readPassword(flags: Flags): Promise<string> {
  if (flags["password-stdin"]) return (await text(process.stdin)).split(/\r?\n/, 1)[0] ?? "";
  if (!process.stdin.isTTY) throw new UsageError("there is no terminal to ask for the password: use --password-stdin");
  const password = await askHidden("Password: ");
  if ((await askHidden("Again: ")) !== password) throw new UsageError("the passwords differ");
  return password;
}

/** A password by the policy of the deployment it is for, as a hash. */
async function newPasswordHash(username: string, flags: Flags): Promise<string> {
  const password = await readPassword(flags);
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

async function create(store: Store, username: string, flags: Flags): Promise<string> {
  if (!isUsername(username)) throw new UsageError("that cannot be a username");
  const role = roleOf(flags.role ?? "user");
  const taken = await store.read(selectUser(username));
  if (taken.length > 0) throw new UsageError(`there is a user ${username} already`);
  const passwordHash = await newPasswordHash(username, flags);
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

async function list(store: Store, flags: Flags): Promise<void> {
  for await (const page of pages(store, "id, username, username_key, role, status, created_at, updated_at", flags)) {
    const lines = page.map(({ id, username, role, status, created_at, updated_at }) => {
      const created = new Date(created_at).toISOString();
      const updated = new Date(updated_at).toISOString();
      return flags.json
        ? JSON.stringify({ id, username, role, status, created_at: created, updated_at: updated })
        : [id, role, status, created, username].join("\t");
    });
    if (lines.length > 0) process.stdout.write(`${lines.join("\n")}\n`);
  }
}

function csvCell(value: string): string {
  return /[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value;
}

async function exportUsers(store: Store, path: string | undefined, flags: Flags): Promise<string | null> {
  const csv = path !== undefined && /\.csv$/i.test(path);
  if (path !== undefined && !csv && !/\.jsonl$/i.test(path))
    throw new UsageError("only .csv and .jsonl can be written");
  const output =
    path === undefined
      ? process.stdout
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

async function runImport(store: Store, path: string, flags: Flags): Promise<number> {
  const started = performance.now();
  const report = await importUsers(store, path, {
    role: roleOf(flags.role ?? "user"),
    dryRun: flags["dry-run"],
    now: Date.now(),
    progress: progressOn(process.stderr),
  });
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  const created = flags["dry-run"] ? "would be created" : "created";
  console.log(
    `${report.created} ${created}, ${report.existing} there already and left as they are, ${report.rejected} rejected, in ${seconds} s`,
  );
  if (report.rejectedFile === null) return 0;
  for (const [reason, count] of report.reasons) console.log(`  ${count} rejected: ${reason}`);
  console.log(`Every rejected record, with its line: ${report.rejectedFile}`);
  return EXIT_REJECTED;
}

async function run(store: Store, command: string, operands: readonly string[], flags: Flags): Promise<number> {
  const [first = "", second = ""] = operands;
  switch (command) {
    case "create":
      console.log(await create(store, first, flags));
      return 0;
    case "list":
      await list(store, flags);
      return 0;
    case "set-role":
      console.log(await change(store, first, "role", () => roleOf(second)));
      return 0;
    case "set-password":
      console.log(await change(store, first, "password_hash", (name) => newPasswordHash(name, flags)));
      return 0;
    case "disable":
    case "enable":
      console.log(await change(store, first, "status", () => (command === "enable" ? "active" : "disabled")));
      return 0;
    case "import":
      return runImport(store, fromCaller(first), flags);
    case "export": {
      const outcome = await exportUsers(store, operands[0] === undefined ? undefined : fromCaller(operands[0]), flags);
      if (outcome !== null) console.log(outcome);
      return 0;
    }
    default:
      throw new UsageError(`there is no command ${command}: see npm run users -- --help`);
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

async function main(args: string[]): Promise<number> {
  const { values: flags, positionals } = parse(args);
  const [command, ...operands] = positionals;
  if (flags.help || command === undefined) {
    process.stdout.write(HELP);
    return flags.help ? 0 : EXIT_FAILED;
  }
  const [least, most] = OPERANDS[command] ?? [0, Infinity];
  if (operands.length < least || operands.length > most) {
    throw new UsageError(`${command} does not take ${operands.length} operands: see npm run users -- --help`);
  }
  if (flags.env !== undefined && !flags.remote) throw new UsageError("--env goes with --remote");
  const store = flags.remote ? openRemote(ROOT, flags.env) : await openLocal(ROOT, resolve(ROOT, flags["persist-to"]));
  try {
    return await run(store, command, operands, flags);
  } finally {
    await store.close();
  }
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  console.error(`npm run users: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = EXIT_FAILED;
}
