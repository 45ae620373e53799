// `npm run deploy` and `npm run setup` up to the account: as their user runs them, with a wrangler that records what it
// is given. The bundle and the proof are real.
import { execFile, execFileSync } from "node:child_process";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { faultsOf, readEnvironment } from "../../scripts/deploy/configuration.ts";
import { withDatabaseId } from "../../scripts/deploy/database-id.ts";
import { proveDeployment } from "../../scripts/deploy/proof.ts";
import { startPostern } from "../../scripts/smoke/server.ts";
import { type FakeAccount, type FakeCall, NEW_DATABASE_ID } from "./fake-wrangler.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const OWNER_ONLY = 0o600;
const PASSWORD = "correct horse battery staple";
const DATABASE_IDS: Record<string, string> = {
  staging: "11111111-2222-4333-8444-555555555555",
  production: "66666666-7777-4888-8999-aaaaaaaaaaaa",
};

let folder: string;
let config: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "postern-deploy-"));
  config = join(folder, "wrangler.toml");
  await writeConfig();
  await setAccount({});
});

afterEach(() => rm(folder, { recursive: true }));

/** The top level as it is, and two environments that could be deployed, but for what `change` does to them. */
async function writeConfig(change: (environment: string) => string = (environment) => environment): Promise<void> {
  const toml = await readFile(join(ROOT, "wrangler.toml"), "utf8");
  const top = toml
    .slice(0, toml.indexOf("\n[env."))
    .replace('main = "src/index.ts"', `main = "${join(ROOT, "src/index.ts")}"`);
  const environment = (name: string): string => `
[env.${name}]
routes = [{ pattern = "auth.${name}.postern.test", custom_domain = true }]

[env.${name}.vars]
ISSUER = "https://auth.${name}.postern.test"
AUDIENCE = "shop"
ORIGIN_URL = "https://api.${name}.postern.test"

[env.${name}.secrets]
required = ["AUTH_SECRET", "ORIGIN_SECRET"]

[env.${name}.triggers]
crons = ["17 * * * *"]

[[env.${name}.d1_databases]]
binding = "DB"
database_name = "postern-${name}"
database_id = "${DATABASE_IDS[name]}"
migrations_dir = "${join(ROOT, "migrations")}"

[[env.${name}.durable_objects.bindings]]
name = "USER_SESSIONS"
class_name = "UserSessions"

[[env.${name}.durable_objects.bindings]]
name = "COUNTERS"
class_name = "Counter"
`;
  await writeFile(config, `${top}\n${environment("staging")}${change(environment("production"))}`);
}

const withoutDatabase = (environment: string): string =>
  environment.replace(/database_id = ".*"/, 'database_id = "<>"');

async function setAccount(account: Partial<FakeAccount>): Promise<void> {
  const empty: FakeAccount = { loggedIn: true, databases: [], secrets: {}, admins: [], failOnce: null };
  await writeFile(join(folder, "state.json"), JSON.stringify({ ...empty, ...account }));
}

async function account(): Promise<FakeAccount> {
  return JSON.parse(await readFile(join(folder, "state.json"), "utf8")) as FakeAccount;
}

async function calls(): Promise<FakeCall[]> {
  const lines = await readFile(join(folder, "calls"), "utf8").catch(() => "");
  return lines
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line) as FakeCall);
}

/** What was asked of wrangler, without the flags that every call has. */
async function commands(): Promise<string[]> {
  return (await calls()).map(({ command }) => command.replace(` --config ${config} --env production`, ""));
}

const SET_UP: Partial<FakeAccount> = {
  databases: [{ name: "postern-production", uuid: DATABASE_IDS["production"] ?? "" }],
  secrets: { AUTH_SECRET: "a", ORIGIN_SECRET: "o" },
  admins: ["root"],
};

interface Outcome {
  readonly code: number;
  readonly output: string;
}

/** Runs a script as npm does, with the fake in wrangler's place unless `env` has another. */
function run(script: string, args: string[], env: Record<string, string> = {}, input = ""): Promise<Outcome> {
  const fake = { POSTERN_WRANGLER: join(import.meta.dirname, "fake-wrangler.ts"), FAKE_WRANGLER: folder };
  const argv = [join(ROOT, "scripts", script), "--env", "production", "--config", config, ...args];
  return new Promise((done) => {
    const child = execFile(process.execPath, argv, { env: { ...process.env, ...fake, ...env } }, (error, out, err) => {
      done({ code: error === null ? 0 : Number(error.code), output: out + err });
    });
    child.stdin?.end(input);
  });
}

const deploy = (args: string[], env?: Record<string, string>): Promise<Outcome> =>
  run("deploy.ts", ["--allow-dirty", ...args], env);

const setup = (args: string[] = [], input = ""): Promise<Outcome> =>
  run("setup.ts", ["--secrets-file", join(folder, "kept.env"), ...args], {}, input);

async function faults(change?: (environment: string) => string): Promise<string[]> {
  if (change !== undefined) await writeConfig(change);
  return faultsOf(await readEnvironment(config, "production")).map(({ where, fault }) => `${where} ${fault}`);
}

describe("the configuration of an environment", () => {
  test("has no fault when all is there", async () => {
    expect(await faults()).toEqual([]);
  });

  test("of this repository lacks nothing but what an operator fills in", async () => {
    for (const name of ["staging", "production"]) {
      const environment = await readEnvironment(join(ROOT, "wrangler.toml"), name);
      const ours = faultsOf(environment).filter(
        ({ fault }) => !/placeholder|no database_id yet|no address/.test(fault),
      );
      expect(ours).toEqual([]);
      expect(environment.config).toMatchObject({
        workers_dev: false,
        preview_urls: false,
        upload_source_maps: true,
        observability: { enabled: true, logs: { invocation_logs: false } },
      });
      expect(environment.config.placement).toBeUndefined();
    }
  });

  test("refuses placeholders, each by its name and once", async () => {
    const said = await faults((environment) =>
      environment
        .replace(/ISSUER = ".*"/, 'ISSUER = "<https://auth.example.com>"')
        .replace(/AUDIENCE = ".*"/, 'AUDIENCE = "<the API>"')
        .replace(/ORIGIN_URL = ".*"/, 'ORIGIN_URL = "<https://api.example.com>"')
        .replace(/database_id = ".*"/, 'database_id = "<written by npm run setup>"'),
    );
    expect(said).toEqual([
      "ISSUER is still the placeholder <https://auth.example.com>: put the value of production in its place",
      "AUDIENCE is still the placeholder <the API>: put the value of production in its place",
      "ORIGIN_URL is still the placeholder <https://api.example.com>: put the value of production in its place",
      "d1_databases DB has no database_id yet: npm run setup -- --env production",
    ]);
  });

  test.each([
    ["what the Worker refuses", /AUDIENCE = ".*"/, 'ACCESS_TOKEN_SECONDS = "soon"', /^ACCESS_TOKEN_SECONDS must be a/],
    ["a missing variable", /AUDIENCE = ".*"/, "", /^AUDIENCE is required/],
    [
      "a route that never matches",
      /AUDIENCE = ".*"/,
      `AUDIENCE = "a"\nROUTES = '[{"path":"/a/../b"}]'`,
      /^ROUTES at 0/,
    ],
    [
      "an origin by URL and by binding",
      /$/,
      '[[env.production.services]]\nbinding="ORIGIN"\nservice="api"',
      /^ORIGIN exa/,
    ],
    ["no origin", /ORIGIN_URL = ".*"/, "", /^ORIGIN exactly one/],
    ["the demo origin", /ORIGIN_URL = ".*"/, "", null],
    [
      "a secret among the variables",
      /AUDIENCE = ".*"/,
      'AUDIENCE = "a"\nAUTH_SECRET_PREVIOUS = "x"',
      /^AUTH_SECRET_PREVIOUS is a secret/,
    ],
    ["an issuer of this machine", /ISSUER = ".*"/, 'ISSUER = "http://127.0.0.1:8787"', /^ISSUER names 127.0.0.1/],
    [
      "the issuer of an example",
      /ISSUER = ".*"/,
      'ISSUER = "https://auth.example.com"',
      /^ISSUER names auth.example.com/,
    ],
    ["a Worker without an address", /routes = .*/, "", /^routes is missing/],
    [
      "an address that is not the issuer's",
      /auth\.production\.postern\.test", c/,
      'x.test", c',
      /^routes none leads to/,
    ],
    ["a missing object", /name = "COUNTERS"/, 'name = "OTHER"', /^COUNTERS is required/],
    ["an undeclared secret", /, "ORIGIN_SECRET"\]/, "]", /^secrets.required does not list ORIGIN_SECRET/],
    ["no cron", /crons = .*/, "crons = []", /^triggers.crons is empty/],
    [
      "the database of another environment",
      /6{8}-.*a{12}/,
      DATABASE_IDS["staging"] ?? "",
      /^d1_databases DB is the data/,
    ],
    [
      "the issuer of another environment",
      /ISSUER = ".*"/,
      'ISSUER = "https://auth.staging.postern.test"',
      /^ISSUER is tha/,
    ],
  ])("refuses %s", async (_, pattern, replacement, fault) => {
    const demo = '[[env.production.services]]\nbinding = "ORIGIN"\nservice = "postern-demo-origin"\n';
    const said = await faults(
      (environment) => environment.replace(pattern, replacement) + (fault === null ? demo : ""),
    );
    expect(said).toContainEqual(expect.stringMatching(fault ?? /^services postern-demo-origin is for laptops only/));
  });
});

describe("npm run deploy", () => {
  test("--dry-run bundles with the real wrangler, lists the rest in order and needs no account", async () => {
    const { code, output } = await deploy(["--dry-run"], {
      POSTERN_WRANGLER: join(ROOT, "node_modules/wrangler/bin/wrangler.js"),
      CLOUDFLARE_API_TOKEN: "",
    });
    expect(output).toContain("✓ configuration: https://auth.production.postern.test");
    expect(output).toMatch(/✓ bundle: Total Upload: .* gzip/);
    expect(output.indexOf("d1 migrations apply")).toBeGreaterThan(0);
    expect(output.indexOf("d1 migrations apply")).toBeLessThan(output.indexOf("wrangler deploy --tag"));
    expect(output).toContain("It can be deployed");
    expect(code).toBe(0);
  });

  test("--dry-run names every fault and ends badly", async () => {
    await writeConfig((environment) => environment.replace(/crons = .*/, "crons = []").replace(/AUDIENCE = ".*"/, ""));
    const { code, output } = await deploy(["--dry-run"]);
    expect(output).toContain("AUDIENCE is required");
    expect(output).toContain("triggers.crons is empty");
    expect(await commands()).toEqual(["deploy --dry-run"]);
    expect(code).toBe(1);
  });

  test("checks, migrates, deploys, proves it by a login, and says how to go back", async () => {
    await setAccount(SET_UP);
    const issuer = "https://auth.production.postern.test";
    const postern = await startPostern(["--var", `ISSUER:${issuer}`, "--var", "AUDIENCE:shop"]);
    try {
      const { code, output } = await deploy(["--url", postern.url], {
        SMOKE_USERNAME: "test",
        SMOKE_PASSWORD: "test123",
      });
      expect(output).toContain("✓ the life of a session: login 200");
      expect(output).toContain("0 failed");
      expect(output).toContain("npx wrangler rollback");
      expect(output).not.toContain("test123");
      expect((await commands()).map((command) => command.replace(/--tag \S+/, "--tag T"))).toEqual([
        "deploy --dry-run",
        "whoami --json",
        "secret list --format json",
        "d1 migrations apply DB --remote",
        "deploy --tag T",
      ]);
      expect(code).toBe(0);
    } finally {
      await postern.stop();
    }
  });

  test.each<[string, Partial<FakeAccount>, RegExp, number]>([
    ["nobody is logged in", { loggedIn: false }, /✗ login: not logged in.*\n.*npx wrangler login/, 2],
    ["a secret is missing", { secrets: { AUTH_SECRET: "a" } }, /✗ secrets: ORIGIN_SECRET not set\n.*npm run setup/, 3],
    ["there is no such Worker", { databases: [] }, /✗ secrets: AUTH_SECRET and ORIGIN_SECRET not set/, 3],
    ["a migration fails", { failOnce: "d1 migrations" }, /✗ migrations: something is wrong today\n$/, 4],
  ])("stops before it deploys when %s", async (_, state, said, made) => {
    await setAccount({ ...SET_UP, ...state });
    const { code, output } = await deploy([]);
    expect(output).toMatch(said);
    expect(await commands()).toHaveLength(made);
    expect(code).toBe(1);
  });

  test("refuses what is not committed, unless told otherwise", async () => {
    const repository = join(folder, "repository");
    const git = (...args: string[]): Buffer =>
      execFileSync("git", ["-c", "user.name=t", "-c", "user.email=t@t.test", ...args]);
    git("init", "-q", repository);
    git("-C", repository, "commit", "-q", "--allow-empty", "-m", "first");
    const env = { GIT_DIR: join(repository, ".git"), GIT_WORK_TREE: repository };
    const clean = await run("deploy.ts", ["--dry-run"], env);
    expect(clean.output).toMatch(/✓ commit: [0-9a-f]{12}\n/);
    expect(clean.code).toBe(0);
    await writeFile(join(repository, "new"), "");
    const dirty = await run("deploy.ts", ["--dry-run"], env);
    expect(dirty.output).toContain("✗ commit: 1 file differs from the commit");
    expect(dirty.code).toBe(1);
    expect((await deploy(["--dry-run"], env)).output).toMatch(/✓ commit: [0-9a-f]{12}-dirty\n/);
  });

  test("a deployment that does not answer proves nothing", async () => {
    const nobody = { url: "http://127.0.0.1:9", issuer: "https://auth.postern.test", audience: "shop" };
    expect(await proveDeployment(nobody, null, 0)).toBe(false);
  });
});

describe("npm run setup", () => {
  test("--dry-run shows the plan and calls nobody", async () => {
    const { code, output } = await setup(["--dry-run"]);
    expect(output).toContain("wrangler d1 create postern-production");
    expect(await calls()).toEqual([]);
    expect(code).toBe(0);
  });

  test("makes database, secrets, tables and an admin; a second run finds all of it done", async () => {
    await writeConfig(withoutDatabase);
    const before = await readFile(config, "utf8");
    const first = await setup(["--admin", "root"]);
    expect(first.output).toContain("✓ first admin: created root (admin)");
    expect(first.code).toBe(0);
    const after = await readFile(config, "utf8");
    expect(after).toBe(before.replace('database_id = "<>"', `database_id = "${NEW_DATABASE_ID}"`));

    const { secrets, admins } = await account();
    for (const name of ["AUTH_SECRET", "ORIGIN_SECRET"]) {
      expect(Buffer.from(secrets[name] ?? "", "base64")).toHaveLength(32);
    }
    expect(secrets["AUTH_SECRET"]).not.toBe(secrets["ORIGIN_SECRET"]);
    expect(admins).toEqual([expect.stringContaining("'admin'")]);

    const made = (await commands()).length;
    const second = await setup(["--admin", "root"]);
    expect(second.code).toBe(0);
    expect((await commands()).slice(made).map((command) => command.split(" ").slice(0, 2).join(" "))).toEqual([
      "whoami --json",
      "secret list",
      "d1 migrations",
      "d1 execute",
    ]);
    expect((await account()).secrets).toEqual(secrets);
    expect(await readFile(config, "utf8")).toBe(after);
  });

  test("shows no secret: not on a command line, not on the screen, and in a file for its owner only", async () => {
    await writeConfig(withoutDatabase);
    const { output } = await setup(["--admin", "root"]);
    const file = join(folder, "kept.env");
    const kept = [...(await readFile(file, "utf8")).matchAll(/^(\w+)='(.*)'$/gm)];
    expect(kept.map(([, name]) => name)).toEqual(["AUTH_SECRET", "ORIGIN_SECRET", "ADMIN_USERNAME", "ADMIN_PASSWORD"]);
    const recorded = (await calls()).map(({ args }) => args.join(" ")).join("\n");
    for (const [, name, value = ""] of kept) {
      if (name === "ADMIN_USERNAME") continue;
      expect(value.length).toBeGreaterThan(30);
      expect(output).not.toContain(value);
      expect(recorded).not.toContain(value);
    }
    expect((await stat(file)).mode & 0o777).toBe(OWNER_ONLY);
  });

  test("goes on where it stopped, with the same secret", async () => {
    await setAccount({ databases: SET_UP.databases ?? [], failOnce: "secret put ORIGIN_SECRET" });
    const stopped = await setup(["--admin", "root"]);
    expect(stopped.output).toContain("✗ secrets: something is wrong today");
    expect(stopped.code).toBe(1);
    const kept = await readFile(join(folder, "kept.env"), "utf8");
    expect((await setup(["--admin", "root"])).code).toBe(0);
    expect(kept).toContain((await account()).secrets["AUTH_SECRET"]);
    expect(kept).toContain((await account()).secrets["ORIGIN_SECRET"]);
  });

  test("leaves secrets alone that are there, and takes a database that has the name", async () => {
    await writeConfig(withoutDatabase);
    await setAccount({ ...SET_UP, secrets: { AUTH_SECRET: "theirs" } });
    const { code } = await setup();
    expect(code).toBe(0);
    expect((await account()).secrets["AUTH_SECRET"]).toBe("theirs");
    expect((await commands()).some((command) => command.startsWith("d1 create"))).toBe(false);
    expect(await readFile(config, "utf8")).toContain(`database_id = "${DATABASE_IDS["production"]}"`);
  });

  test("says what to do when nobody is logged in, and touches nothing", async () => {
    await setAccount({ loggedIn: false });
    const { code, output } = await setup();
    expect(output).toMatch(/✗ login: not logged in to Cloudflare\n.*CLOUDFLARE_API_TOKEN/);
    expect(await commands()).toEqual(["whoami --json"]);
    expect(code).toBe(1);
  });

  test("takes the admin's password from the standard input, by the policy", async () => {
    await setAccount({ ...SET_UP, admins: [] });
    const short = await setup(["--admin", "root", "--password-stdin"], "short\n");
    expect(short.output).toContain("✗ first admin");
    expect((await account()).admins).toEqual([]);
    const { code, output } = await setup(["--admin", "root", "--password-stdin"], `${PASSWORD}\n`);
    expect(output).not.toContain(PASSWORD);
    expect((await account()).admins).toEqual([expect.stringContaining("$argon2id$")]);
    expect(code).toBe(0);
  });

  test("asks for a name where there is no terminal to ask on", async () => {
    await setAccount({ ...SET_UP, admins: [] });
    const { code, output } = await setup();
    expect(output).toContain("Repeat this command with --admin NAME");
    expect(code).toBe(1);
  });

  test("writes the database id into the environment's own DB, whatever stands beside it", () => {
    const toml = [
      '[[d1_databases]]\nbinding = "DB"\ndatabase_id = "0"',
      '[[env.production.d1_databases]]\nbinding = "OTHER"\ndatabase_id = "1"',
      '[[env.production.d1_databases]]\nbinding = "DB"\ndatabase_name = "p"',
      '[env.production.vars]\nA = "b"\n',
    ].join("\n\n");
    const written = withDatabaseId(toml, "production", "new");
    expect(written).toBe(
      toml.replace('binding = "DB"\ndatabase_name', 'database_id = "new"\nbinding = "DB"\ndatabase_name'),
    );
    expect(withDatabaseId(toml, "staging", "new")).toBeNull();
  });
});
