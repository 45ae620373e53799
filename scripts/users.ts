/**
 * `npm run users`: users from the command line, in the local database or, with --remote, in a deployed one. For the first
 * admin, for moving in from another system, for moving out. It changes rows only: see the note in --help about sessions.
 */
import { resolve } from "node:path";
import { createInterface } from "node:readline/promises";
import { Writable } from "node:stream";
import { text } from "node:stream/consumers";
import { EXIT_FAILED, type Flags, runCommandLine, UsageError } from "./users/commands.ts";
import { progressOn } from "./users/progress.ts";
import { openLocal, openRemote } from "./users/store.ts";

const ROOT = resolve(import.meta.dirname, "..");

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

try {
  process.exitCode = await runCommandLine(process.argv.slice(2), {
    openStore: async (flags) =>
      flags.remote ? openRemote(ROOT, flags.env) : openLocal(ROOT, resolve(ROOT, flags["persist-to"])),
    print: (lines) => console.log(lines),
    readPassword,
    progress: progressOn(process.stderr),
    output: process.stdout,
  });
} catch (error) {
  console.error(`npm run users: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = EXIT_FAILED;
}
