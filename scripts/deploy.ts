/**
 * `npm run deploy -- --env production`: checks everything that can be checked first, brings the database up to date,
 * deploys, proves from outside that it works, and says how to go back. The first step that fails is the last one, and
 * nothing was changed before the migrations.
 *
 *   --dry-run      what needs no account, and a list of the rest
 *   --allow-dirty  also what is not committed
 *   --url URL      where to prove it, if not at ISSUER
 *   --config FILE  instead of wrangler.toml
 *
 * With SMOKE_USERNAME and SMOKE_PASSWORD in the environment the proof includes a login. Not run here: `npm run check`.
 */
import { execFileSync } from "node:child_process";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { type Environment, faultsOf, readEnvironment, REQUIRED_SECRETS, variableOf } from "./deploy/configuration.ts";
import { proveDeployment } from "./deploy/proof.ts";
import { printPlan, step, StepFailure, steps } from "./deploy/steps.ts";
import { createWrangler, requireLogin, secretNames, type Wrangler } from "./deploy/wrangler.ts";

const ROOT = resolve(import.meta.dirname, "..");

const MIGRATE = ["d1", "migrations", "apply", "DB", "--remote"];
const LIST_SECRETS = ["secret", "list", "--format", "json"];
const deployAs = (tag: string): string[] => ["deploy", "--tag", tag];

interface Flags {
  readonly env: string;
  readonly config: string;
  readonly dryRun: boolean;
  readonly allowDirty: boolean;
  readonly url: string | undefined;
}

function readFlags(): Flags {
  const { values } = parseArgs({
    options: {
      env: { type: "string" },
      config: { type: "string" },
      url: { type: "string" },
      "dry-run": { type: "boolean", default: false },
      "allow-dirty": { type: "boolean", default: false },
    },
  });
  if (values.env === undefined) throw new Error("which environment? npm run deploy -- --env production");
  return {
    env: values.env,
    config: resolve(process.env["INIT_CWD"] ?? ".", values.config ?? resolve(ROOT, "wrangler.toml")),
    dryRun: values["dry-run"],
    allowDirty: values["allow-dirty"],
    url: values.url,
  };
}

function checkConfiguration(environment: Environment): string {
  const faults = faultsOf(environment);
  if (faults.length > 0) {
    const lines = faults.map(({ where, fault }) => `${where} ${fault}`);
    throw new StepFailure(
      lines.join("\n"),
      `Edit [env.${environment.name}] in wrangler.toml; docs/deploy.md explains it`,
    );
  }
  const { config } = environment;
  const bound = config.services?.find(({ binding }) => binding === "ORIGIN")?.service;
  const origin = bound === undefined ? variableOf(config, "ORIGIN_URL") : `the Worker ${bound}`;
  return `${variableOf(config, "ISSUER")}, in front of ${origin}`;
}

function git(...args: string[]): string {
  try {
    return execFileSync("git", args, { cwd: ROOT, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] }).trim();
  } catch {
    throw new StepFailure("git does not answer here", "Deploy from a checkout, so that it is known what runs");
  }
}

/** The name under which the version is kept: the commit, and whether there was more than it. */
function tagOf(allowDirty: boolean): string {
  const commit = git("rev-parse", "--short=12", "HEAD");
  const changed = git("status", "--porcelain").split("\n").filter(Boolean);
  if (changed.length === 0) return commit;
  if (allowDirty) return `${commit}-dirty`;
  throw new StepFailure(
    `${changed.length} ${changed.length === 1 ? "file differs" : "files differ"} from the commit`,
    "Commit, or repeat with --allow-dirty",
  );
}

async function bundle(wrangler: Wrangler): Promise<string> {
  const output = await wrangler.run(["deploy", "--dry-run"]);
  return /Total Upload: .*/.exec(output)?.[0] ?? "";
}

async function checkSecrets(wrangler: Wrangler, env: string): Promise<string> {
  const present = await secretNames(wrangler);
  const absent = REQUIRED_SECRETS.filter((name) => !present.includes(name));
  if (absent.length === 0) return present.join(", ");
  throw new StepFailure(`${absent.join(" and ")} not set`, `npm run setup -- --env ${env}`);
}

function printRemaining(wrangler: Wrangler, { issuer, tag }: { issuer: string; tag: string }): void {
  printPlan("With a Cloudflare account, this would follow:", [
    [wrangler.line(["whoami", "--json"]), "somebody is logged in"],
    [wrangler.line(LIST_SECRETS), `${REQUIRED_SECRETS.join(" and ")} are set`],
    [wrangler.line(MIGRATE), "the migrations that the database does not have yet"],
    [wrangler.line(deployAs(tag)), "the Worker, its objects, its cron and its address"],
    [
      `GET ${issuer}/healthz /readyz /.well-known/jwks.json …`,
      "the proof; with SMOKE_USERNAME and SMOKE_PASSWORD a login too",
    ],
  ]);
}

function printWaysBack(wrangler: Wrangler): void {
  console.log(`
Back to the version before (code and configuration; the database and the objects stay as they are):
  ${wrangler.line(["rollback"])}
The next version to some of the users first:
  ${wrangler.line(["versions", "upload"])}
  ${wrangler.line(["versions", "deploy"])}`);
}

async function main(): Promise<boolean> {
  const flags = readFlags();
  const isUsual = flags.config === resolve(ROOT, "wrangler.toml");
  const wrangler = createWrangler([...(isUsual ? [] : ["--config", flags.config]), "--env", flags.env]);
  const environment = await readEnvironment(flags.config, flags.env);
  const issuer = variableOf(environment.config, "ISSUER");
  const audience = variableOf(environment.config, "AUDIENCE");
  let tag = "COMMIT";

  const local = [
    ["configuration", () => checkConfiguration(environment)],
    ["commit", () => (tag = tagOf(flags.allowDirty))],
    ["bundle", () => bundle(wrangler)],
  ] as const;

  if (flags.dryRun) {
    let ready = true;
    for (const [name, body] of local) ready = (await step(name, body)) && ready;
    printRemaining(wrangler, { issuer, tag });
    console.log(
      ready ? "\nNothing was changed. It can be deployed." : "\nNothing was changed. It cannot be deployed yet.",
    );
    return ready;
  }

  const deployed = await steps([
    ...local,
    ["login", () => requireLogin(wrangler)],
    ["secrets", () => checkSecrets(wrangler, flags.env)],
    ["migrations", async () => ((await wrangler.run(MIGRATE)).includes("No migrations to apply") ? "none" : "applied")],
    ["deploy", async () => /^Uploaded[\s\S]*/m.exec(await wrangler.run(deployAs(tag)))?.[0] ?? ""],
  ]);
  if (!deployed) return false;

  const url = flags.url ?? issuer;
  console.log(`\nThe proof, at ${url}\n`);
  const { SMOKE_USERNAME: username, SMOKE_PASSWORD: password } = process.env;
  const credentials = username === undefined || password === undefined ? null : { username, password };
  const proved = await proveDeployment({ url, issuer, audience }, credentials);
  if (!proved) console.log("\n✗ It is deployed and does not prove itself. Its log: " + wrangler.line(["tail"]));
  printWaysBack(wrangler);
  return proved;
}

try {
  process.exitCode = (await main()) ? 0 : 1;
} catch (error) {
  console.error(`npm run deploy: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
