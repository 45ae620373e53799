/**
 * What wrangler finds around it: secrets in `.dev.vars`, switches that keep it from calling home, and a configuration
 * without the demo origin where another origin was asked for.
 */
import { randomBytes } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";

const SECRET_BYTES = 32;
const OWNER_ONLY = 0o600;

/** Writes `.dev.vars` with fresh secrets unless there is one; whether it did. */
export async function ensureSecrets(root: string): Promise<boolean> {
  const lines = ["AUTH_SECRET", "ORIGIN_SECRET"].map(
    (name) => `${name}=${randomBytes(SECRET_BYTES).toString("base64")}\n`,
  );
  try {
    await writeFile(join(root, ".dev.vars"), lines.join(""), { flag: "wx", mode: OWNER_ONLY });
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EEXIST") return false;
    throw error;
  }
}

/**
 * The environment for wrangler: nothing is sent or fetched at start (metrics, crash reports, update check, a description
 * of this network for `request.cf`), and nothing is recorded of the requests, which carry passwords and tokens.
 */
export function quietEnvironment(persistTo: string): NodeJS.ProcessEnv {
  return {
    WRANGLER_SEND_METRICS: "false",
    WRANGLER_SEND_ERROR_REPORTS: "false",
    WRANGLER_NO_SKILLS_UPDATE_PROMPTS: "true",
    WRANGLER_HIDE_BANNER: "true",
    CLOUDFLARE_CF_FETCH_ENABLED: "false",
    X_LOCAL_EXPLORER: "false",
    X_LOCAL_OBSERVABILITY: "false",
    ...process.env,
    // Else all local Workers of one name find each other, and a second Postern the first one's origin.
    WRANGLER_REGISTRY_PATH: join(persistTo, "registry"),
  };
}

/**
 * The arguments that tell wrangler what to serve. With `ORIGIN_URL` given, a copy of wrangler.toml without the `ORIGIN`
 * binding, since Postern wants exactly one of the two.
 */
export async function configurationArguments(root: string, hasOriginUrl: boolean): Promise<string[]> {
  const config = join(root, "wrangler.toml");
  if (!hasOriginUrl) return ["-c", config, "-c", join(root, "test/origin/wrangler.toml")];

  // Loaded only here: wrangler takes a second to import.
  const { experimental_readRawConfig: readRawConfig } = await import("wrangler");
  const { rawConfig } = readRawConfig({ config });
  const { services = [], ...rest } = rawConfig;
  const folder = join(root, ".wrangler/dev");
  const derived = join(folder, "wrangler.json");
  const withoutOrigin = {
    ...rest,
    main: join(root, rest.main ?? ""),
    services: services.filter(({ binding }: { binding: string }) => binding !== "ORIGIN"),
  };
  await mkdir(folder, { recursive: true });
  await writeFile(derived, JSON.stringify(withoutOrigin, null, 2));
  return ["-c", derived, "--env-file", join(root, ".dev.vars")];
}
