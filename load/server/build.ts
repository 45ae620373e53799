// Bundles a Worker as `wrangler deploy` would, for running it on workerd without `wrangler dev`, whose own proxy costs
// more than the Worker. Not here: what it is bound to.
import { execFile } from "node:child_process";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/** The repository. */
export const ROOT = resolve(import.meta.dirname, "../..");

export interface Module {
  readonly type: "ESModule" | "CompiledWasm";
  readonly path: string;
  readonly contents: string | Uint8Array;
}

/** The compatibility date in wrangler.toml. */
export function compatibilityDate(): string {
  const date = /^compatibility_date = "([\d-]+)"$/m.exec(readFileSync(join(ROOT, "wrangler.toml"), "utf8"))?.[1];
  if (date === undefined) throw new Error("wrangler.toml has no compatibility_date");
  return date;
}

/**
 * The modules of a Worker, the entry first.
 * @param entry relative to the repository
 * @param config what it is configured by, relative to the repository; the compatibility date is Postern's in any case
 */
export async function build(entry: string, config = "wrangler.toml"): Promise<Module[]> {
  const outdir = await mkdtemp(join(tmpdir(), "postern-build-"));
  try {
    await run(
      join(ROOT, "node_modules/.bin/node"),
      [
        join(ROOT, "node_modules/wrangler/bin/wrangler.js"),
        "deploy",
        entry,
        "--config",
        config,
        "--compatibility-date",
        compatibilityDate(),
        "--env=",
        "--dry-run",
        "--minify",
        "--outdir",
        outdir,
      ],
      { cwd: ROOT, env: { ...process.env, WRANGLER_SEND_METRICS: "false", WRANGLER_HIDE_BANNER: "true", CI: "true" } },
    );
    const files = await readdir(outdir);
    const scripts = files.filter((file) => file.endsWith(".js"));
    const binaries = files.filter((file) => file.endsWith(".wasm"));
    return [
      ...(await Promise.all(
        scripts.map(async (file) => ({
          type: "ESModule" as const,
          path: file,
          contents: await readFile(join(outdir, file), "utf8"),
        })),
      )),
      ...(await Promise.all(
        binaries.map(async (file) => ({
          type: "CompiledWasm" as const,
          path: file,
          contents: await readFile(join(outdir, file)),
        })),
      )),
    ];
  } finally {
    await rm(outdir, { recursive: true });
  }
}
