/**
 * `npm run setup -- --env production`: what a deployment needs once and before the first `npm run deploy`: a database,
 * secrets, tables, an admin. Each step looks whether it is done already, so repeating the command does what is left.
 * Nothing secret is printed or put on a command line; what is made up here is kept in a file for its owner.
 *
 *   --dry-run             what would be done
 *   --admin NAME          the first admin; asked for at a terminal if not given
 *   --password-stdin      the admin's password is the first line of the standard input; without it and without a
 *                         terminal one is made up
 *   --location HINT, --jurisdiction NAME   where the database lies, as for `wrangler d1 create`
 *   --secrets-file FILE   where to keep the secrets (default: .wrangler/setup/ENV.env)
 *   --config FILE         instead of wrangler.toml
 */
import { relative, resolve } from "node:path";
import { parseArgs } from "node:util";
import { databaseIdOf, readEnvironment, REQUIRED_SECRETS } from "./deploy/configuration.ts";
import { writeDatabaseId } from "./deploy/database-id.ts";
import { ensureAdmin, type NewAdmin } from "./deploy/first-admin.ts";
import { type KeptSecrets, keptSecretsIn } from "./deploy/kept-secrets.ts";
import { printPlan, StepFailure, steps } from "./deploy/steps.ts";
import { ask, firstLine } from "./deploy/terminal.ts";
import { createWrangler, jsonIn, requireLogin, secretNames, type Wrangler } from "./deploy/wrangler.ts";

const ROOT = resolve(import.meta.dirname, "..");
const MIGRATE = ["d1", "migrations", "apply", "DB", "--remote"];

interface Flags {
  readonly env: string;
  readonly config: string;
  readonly secretsFile: string;
  readonly dryRun: boolean;
  readonly admin: string | undefined;
  readonly passwordStdin: boolean;
  /** For `wrangler d1 create`. */
  readonly place: readonly string[];
}

function readFlags(): Flags {
  const { values } = parseArgs({
    options: {
      env: { type: "string" },
      config: { type: "string" },
      admin: { type: "string" },
      location: { type: "string" },
      jurisdiction: { type: "string" },
      "secrets-file": { type: "string" },
      "password-stdin": { type: "boolean", default: false },
      "dry-run": { type: "boolean", default: false },
    },
  });
  if (values.env === undefined) throw new Error("which environment? npm run setup -- --env production");
  const fromCaller = (path: string): string => resolve(process.env["INIT_CWD"] ?? ".", path);
  return {
    env: values.env,
    config: fromCaller(values.config ?? resolve(ROOT, "wrangler.toml")),
    secretsFile: fromCaller(values["secrets-file"] ?? resolve(ROOT, `.wrangler/setup/${values.env}.env`)),
    dryRun: values["dry-run"],
    admin: values.admin,
    passwordStdin: values["password-stdin"],
    place: [
      ...(values.location === undefined ? [] : ["--location", values.location]),
      ...(values.jurisdiction === undefined ? [] : ["--jurisdiction", values.jurisdiction]),
    ],
  };
}

const createDatabase = (name: string, { place }: Flags): string[] => ["d1", "create", name, ...place];

async function findDatabase(wrangler: Wrangler, name: string): Promise<string | null> {
  const list = jsonIn(await wrangler.run(["d1", "list", "--json"])) as { uuid: string; name: string }[] | null;
  if (list === null) throw new StepFailure("wrangler d1 list answered with something else than JSON");
  return list.find((database) => database.name === name)?.uuid ?? null;
}

async function databaseName(flags: Flags): Promise<{ name: string; id: string | null }> {
  const environment = await readEnvironment(flags.config, flags.env);
  const name = environment.config.d1_databases.find(({ binding }) => binding === "DB")?.database_name;
  if (name === undefined) throw new StepFailure(`[env.${flags.env}] has no DB with a database_name in d1_databases`);
  return { name, id: databaseIdOf(environment) };
}

async function ensureDatabase(wrangler: Wrangler, flags: Flags): Promise<string> {
  const { name, id } = await databaseName(flags);
  if (id !== null) return `${name} is in wrangler.toml already`;
  const existing = await findDatabase(wrangler, name);
  if (existing === null) await wrangler.run(createDatabase(name, flags));
  const found = existing ?? (await findDatabase(wrangler, name));
  if (found === null) throw new StepFailure(`${name} was created and is not listed`, "Repeat this command");
  await writeDatabaseId(flags.config, flags.env, found);
  return `${name} ${existing === null ? "created" : "found"}, its id written into wrangler.toml: commit that`;
}

async function ensureSecrets(wrangler: Wrangler, kept: KeptSecrets): Promise<string> {
  const present = await secretNames(wrangler);
  const absent = REQUIRED_SECRETS.filter((name) => !present.includes(name));
  for (const name of absent) await wrangler.run(["secret", "put", name], await kept.secret(name));
  if (absent.length === 0) return `${REQUIRED_SECRETS.join(" and ")} are set already`;
  return `${absent.join(" and ")} set, and kept in ${shown(kept.path)}`;
}

function shown(path: string): string {
  const short = relative(ROOT, path);
  return short.startsWith("..") ? path : short;
}

async function askForAdmin(flags: Flags, kept: KeptSecrets): Promise<NewAdmin> {
  const atTerminal = process.stdin.isTTY && !flags.passwordStdin;
  const username = flags.admin ?? (atTerminal ? await ask("Name of the first admin: ") : "");
  if (username === "") throw new StepFailure("there is none yet", "Repeat this command with --admin NAME");
  let password = flags.passwordStdin ? await firstLine() : "";
  if (atTerminal) {
    password = await ask("Password (empty: one is made up): ", true);
    if (password !== "" && (await ask("Again: ", true)) !== password) {
      throw new StepFailure("the passwords differ", "Repeat this command; what is done stays done");
    }
  } else if (flags.passwordStdin && password === "") {
    throw new StepFailure("there is no password on the standard input");
  }
  if (password === "") {
    await kept.note("ADMIN_USERNAME", username);
    password = await kept.password("ADMIN_PASSWORD");
    console.log(`  A password for ${username} is kept in ${shown(kept.path)}`);
  }
  return { username, password };
}

async function main(): Promise<boolean> {
  const flags = readFlags();
  const isUsual = flags.config === resolve(ROOT, "wrangler.toml");
  const wrangler = createWrangler([...(isUsual ? [] : ["--config", flags.config]), "--env", flags.env]);
  const kept = keptSecretsIn(flags.secretsFile);

  if (flags.dryRun) {
    const { name, id } = await databaseName(flags);
    const create = wrangler.line(createDatabase(name, flags));
    printPlan("With a Cloudflare account, this would be done, each only if it is not done yet:", [
      [wrangler.line(["whoami", "--json"]), "somebody is logged in"],
      [create, id === null ? "the database; its id goes into wrangler.toml" : "done: wrangler.toml has its id"],
      ...REQUIRED_SECRETS.map((secret): [string, string] => [
        wrangler.line(["secret", "put", secret]),
        `32 random bytes on the standard input, kept in ${shown(kept.path)}; an existing one stays`,
      ]),
      [wrangler.line(MIGRATE), "the tables"],
      [`npm run users -- create ${flags.admin ?? "NAME"} --role admin --remote --env ${flags.env}`, "the first admin"],
    ]);
    console.log("\nNothing was changed.");
    return true;
  }

  const done = await steps([
    ["login", () => requireLogin(wrangler)],
    ["database", () => ensureDatabase(wrangler, flags)],
    ["secrets", () => ensureSecrets(wrangler, kept)],
    ["migrations", async () => ((await wrangler.run(MIGRATE)).includes("No migrations to apply") ? "none" : "applied")],
    ["first admin", () => ensureAdmin(wrangler, flags.env, () => askForAdmin(flags, kept))],
  ]);
  if (!done) return false;
  console.log(`
Next: move what is in ${shown(kept.path)}, if anything, to where you keep secrets, and delete the file. The origin needs
ORIGIN_SECRET. Fill in [env.${flags.env}.vars] and routes in wrangler.toml, commit, and

  npm run deploy -- --env ${flags.env}`);
  return true;
}

try {
  process.exitCode = (await main()) ? 0 : 1;
} catch (error) {
  console.error(`npm run setup: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
