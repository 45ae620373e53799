// Runs the example verifiers of docs/origin/ against the shared vectors, each in its own language and with that
// language's published library. Needs Python 3.10 and Go 1.25, and fetches what they pin on the first run.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const EXAMPLES = join(ROOT, "docs/origin");
const CACHE = join(ROOT, "node_modules/.cache/postern-origins");

class CommandFailed extends Error {}

/** Runs a command to its end; what it printed is shown only if it fails. */
function run(directory: string, command: string, ...args: string[]): void {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd: directory,
    encoding: "utf8",
    env: { ...process.env, PYTHONDONTWRITEBYTECODE: "1", PYTHONWARNINGS: "error::UserWarning" },
  });
  if (error !== undefined) throw new CommandFailed(`${command}: ${error.message}`);
  if (status !== 0) throw new CommandFailed(`${stdout}${stderr}`);
}

/** The interpreter of a virtual environment that holds exactly what requirements.txt pins. */
function python(): string {
  const requirements = join(EXAMPLES, "python/requirements.txt");
  const environment = join(CACHE, "python");
  const stamp = join(environment, "requirements.sha256");
  const interpreter = join(environment, process.platform === "win32" ? "Scripts/python.exe" : "bin/python");
  const wanted = createHash("sha256").update(readFileSync(requirements)).digest("hex");
  if (!existsSync(stamp) || readFileSync(stamp, "utf8") !== wanted) {
    run(ROOT, process.platform === "win32" ? "python" : "python3", "-m", "venv", "--clear", environment);
    run(ROOT, interpreter, "-m", "pip", "install", "--quiet", "--requirement", requirements);
    writeFileSync(stamp, wanted);
  }
  return interpreter;
}

const LANGUAGES: Readonly<Record<string, () => void>> = {
  node: () => run(ROOT, process.execPath, "--test", join(EXAMPLES, "node/*.test.ts")),
  python: () => run(join(EXAMPLES, "python"), python(), "-m", "unittest"),
  go: () => run(join(EXAMPLES, "go"), "go", "test", "-count=1", "-mod=readonly", "./..."),
};

let failed = 0;
for (const [language, test] of Object.entries(LANGUAGES)) {
  try {
    test();
    console.log(`ok    ${language}`);
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error;
    failed++;
    console.log(`FAIL  ${language}\n${error.message}`);
  }
}
console.log(`${Object.keys(LANGUAGES).length - failed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
