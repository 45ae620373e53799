// The gate: everything that must hold before a change lands, in the order in which it fails fastest. `npm run check`.
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

const BUNDLE_LIMIT_BYTES = 60 * 1024;
/** Every platform a contributor or a server may have; a lock that lacks one fails there, and only there. */
const LOCKED_PLATFORMS: readonly (readonly [family: string, pattern: RegExp, atLeast: number])[] = [
  ["workerd", /^node_modules\/@cloudflare\/workerd-/, 5],
  ["esbuild", /^node_modules\/@esbuild\//, 26],
  ["rolldown", /^node_modules\/@rolldown\/binding-/, 15],
  ["oxlint", /^node_modules\/@oxlint\/binding-/, 19],
  ["oxfmt", /^node_modules\/@oxfmt\/binding-/, 19],
  ["typescript", /^node_modules\/@typescript\/typescript-/, 20],
];

const OFFLINE = { ...process.env, WRANGLER_SEND_METRICS: "false" };

function run(command: string, ...args: string[]): string | null {
  const { status } = spawnSync(command, args, { stdio: "inherit", env: OFFLINE });
  return status === 0 ? null : `${command} ${args.join(" ")} failed`;
}

/** The Worker as it would be deployed, gzipped, without the WASM. */
function checkBundle(): string | null {
  const outdir = mkdtempSync(join(tmpdir(), "postern-bundle-"));
  try {
    execFileSync("wrangler", ["deploy", "--env=", "--dry-run", "--minify", "--outdir", outdir], {
      stdio: "pipe",
      env: OFFLINE,
    });
    const scripts = readdirSync(outdir).filter((file) => file.endsWith(".js"));
    const bytes = scripts.reduce((sum, file) => sum + gzipSync(readFileSync(join(outdir, file))).byteLength, 0);
    console.log(`bundle: ${(bytes / 1024).toFixed(1)} KiB gzip of ${BUNDLE_LIMIT_BYTES / 1024} allowed`);
    return bytes <= BUNDLE_LIMIT_BYTES ? null : "the bundle is too large";
  } finally {
    rmSync(outdir, { recursive: true });
  }
}

function checkLock(): string | null {
  const text = readFileSync("package-lock.json", "utf8");
  if (text.includes('"resolved"')) return "package-lock.json names download hosts";
  const names = Object.keys((JSON.parse(text) as { packages: Record<string, unknown> }).packages);
  for (const [family, pattern, atLeast] of LOCKED_PLATFORMS) {
    const found = names.filter((name) => pattern.test(name)).length;
    if (found < atLeast) return `package-lock.json holds ${found} of ${atLeast} platforms of ${family}`;
  }
  return null;
}

const STEPS: readonly (readonly [name: string, step: () => string | null])[] = [
  ["lock file", checkLock],
  ["format", () => run("oxfmt", "--check")],
  ["lint", () => run("oxlint", "--type-aware", "--deny-warnings")],
  ["types of the Worker", () => run("tsc", "-p", "tsconfig.json")],
  ["types of the scripts", () => run("tsc", "-p", "scripts/tsconfig.json")],
  ["types of the load tools", () => run("tsc", "-p", "load/tsconfig.json")],
  ["types of the origin examples", () => run("tsc", "-p", "docs/origin/node/tsconfig.json")],
  ["generated bindings", () => run("wrangler", "types", "--include-runtime=false", "--check")],
  ["generated API documents", () => run("node", "scripts/openapi.ts", "--check")],
  ["bundle", checkBundle],
  ["tests and coverage", () => run("vitest", "run", "--coverage")],
];

for (const [name, step] of STEPS) {
  console.log(`\n── ${name}`);
  const fault = step();
  if (fault !== null) {
    console.error(`✗ ${name}: ${fault}`);
    process.exit(1);
  }
}
console.log("\n✓ all checks passed");
