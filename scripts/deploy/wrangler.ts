/**
 * Runs wrangler for one environment, never interactively, and puts its refusals in words. Secrets go to its standard
 * input; what is on its command line may be read by everybody on this machine.
 */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { StepFailure } from "./steps.ts";

const ROOT = join(import.meta.dirname, "../..");

export interface Outcome {
  readonly ok: boolean;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Wrangler {
  /** Runs a command of wrangler, whatever comes of it. */
  attempt(args: readonly string[], input?: string): Promise<Outcome>;
  /** Runs a command, and returns its standard output. Throws a {@link StepFailure} when it fails. */
  run(args: readonly string[], input?: string): Promise<string>;
  /** The command as somebody would type it. */
  line(args: readonly string[]): string;
}

const LOG_IN =
  "Log in with `npx wrangler login`, or set CLOUDFLARE_API_TOKEN (and CLOUDFLARE_ACCOUNT_ID, with several accounts). " +
  "docs/deploy.md names the permissions. Then repeat this command: it goes on where it stopped";

/** Wrangler without its greetings, its opinions and its calls home. */
function environment(): NodeJS.ProcessEnv {
  const { SMOKE_USERNAME: _name, SMOKE_PASSWORD: _password, ...rest } = process.env;
  return {
    WRANGLER_SEND_METRICS: "false",
    WRANGLER_SEND_ERROR_REPORTS: "false",
    WRANGLER_NO_SKILLS_UPDATE_PROMPTS: "true",
    WRANGLER_HIDE_BANNER: "true",
    ...rest,
    NO_COLOR: "1",
    FORCE_COLOR: "0",
  };
}

/** What wrangler objects to, without its warnings before and the name of its log file after. */
function objection({ stdout, stderr }: Outcome): string {
  const said = /\[ERROR\]\s*([\s\S]*)/.exec(stderr)?.[1] ?? (stderr.trim() || stdout);
  return said.split("🪵", 1)[0]?.trim() ?? "";
}

/** A refusal of wrangler as a failed step. */
export function failure(outcome: Outcome): StepFailure {
  const said = objection(outcome);
  const notLoggedIn =
    /necessary to set a CLOUDFLARE_API_TOKEN|could not authenticate|not (authenticated|logged in)/i.test(said);
  return new StepFailure(notLoggedIn ? "not logged in to Cloudflare" : said, notLoggedIn ? LOG_IN : null);
}

/**
 * @param flags what every command gets: the environment, and the configuration file if it is not the usual one
 * @param script POSTERN_WRANGLER in the environment: another program in wrangler's place, for tests
 */
export function createWrangler(
  flags: readonly string[],
  script = process.env["POSTERN_WRANGLER"] ?? join(ROOT, "node_modules/wrangler/bin/wrangler.js"),
): Wrangler {
  const attempt = async (args: readonly string[], input = ""): Promise<Outcome> => {
    const child = spawn(process.execPath, [script, ...args, ...flags], { cwd: ROOT, env: environment() });
    const ended = new Promise<number | null>((done, failed) => {
      child.once("error", failed);
      child.once("close", done);
    });
    // It may end without having read: then there is nobody to tell.
    child.stdin.on("error", () => {});
    child.stdin.end(input);
    const [stdout, stderr, code] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
    return { ok: code === 0, stdout, stderr };
  };
  return {
    attempt,
    async run(args, input) {
      const outcome = await attempt(args, input);
      if (!outcome.ok) throw failure(outcome);
      return outcome.stdout;
    },
    line: (args) => ["npx wrangler", ...args, ...flags].join(" "),
  };
}

/** Throws a {@link StepFailure} unless somebody is logged in; says who. */
export async function requireLogin(wrangler: Wrangler): Promise<string> {
  const { stdout } = await wrangler.attempt(["whoami", "--json"]);
  const answer = jsonIn(stdout) as { loggedIn?: boolean; email?: string } | null;
  if (answer?.loggedIn !== true) throw new StepFailure("not logged in to Cloudflare", LOG_IN);
  return answer.email ?? "by API token";
}

/** The names of the secrets that the deployed Worker has; none while there is no such Worker. */
export async function secretNames(wrangler: Wrangler): Promise<readonly string[]> {
  const outcome = await wrangler.attempt(["secret", "list", "--format", "json"]);
  if (!outcome.ok) {
    if (/Worker "[^"]*".* not found|code: 10007/.test(outcome.stderr)) return [];
    throw failure(outcome);
  }
  const secrets = jsonIn(outcome.stdout) as { name: string }[] | null;
  if (secrets === null) throw new StepFailure("wrangler secret list answered with something else than JSON");
  return secrets.map(({ name }) => name);
}

/** The JSON in what wrangler printed, which may have a greeting in front; null when there is none. */
export function jsonIn(output: string): unknown {
  const start = output.search(/^[[{]/m);
  try {
    return JSON.parse(output.slice(start));
  } catch {
    return null;
  }
}
