// Runs the shell blocks of one document in one bash, as a reader does who pastes them from top to bottom, and keeps
// apart what each printed. The reader's own values are replaced: the address, the name of the account, two tools.
import { execFile } from "node:child_process";
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { type Block, ROOT } from "./markdown.ts";

const TIMEOUT_MS = 60_000;
const BLOCK_END = "@@end of block@@";
const FAILED = "@@failed@@";

/** Tools that a machine need not have, in as far as the samples use them. */
const TOOLS = {
  jq: `#!/usr/bin/env node
const [, , flag, path, file] = process.argv;
if (flag !== "-r" || !/^[.]\\w+$/.test(path)) throw new Error("this jq only knows: jq -r .field FILE");
console.log(JSON.parse(require("node:fs").readFileSync(file, "utf8"))[path.slice(1)]);
`,
  uuidgen: `#!/usr/bin/env node
console.log(crypto.randomUUID());
`,
};

/** curl as a client with an address of its own, so that the default limits hold for each document. */
const curlFrom = (address: string, real: string): string =>
  `#!/bin/sh\nexec ${real} -H 'CF-Connecting-IP: ${address}' "$@"\n`;

/** A text of a document with what stands for the reader's own replaced by the server at `url` and its demo user. */
export function localised(text: string, url: string): string {
  return text
    .replaceAll("http://127.0.0.1:8787", url)
    .replaceAll("https://api.example.com", url)
    .replaceAll('"username":"ada","password":"…"', '"username":"test","password":"test123"');
}

export interface Printed {
  readonly block: Block;
  readonly output: string;
}

/** What no sample may do on the machine of whoever runs the tests: install, deploy, start servers, delete. */
const OFF_LIMITS = /(?:^|[\s;&|(])(?:npm|npx|wrangler|sudo|rm|kill|docker|git)\s/m;

/** Why a shell block must not be run, or null: such a block says so itself, by a mark with the reason. */
export function refusalOf({ text }: Block): string | null {
  const [found] = OFF_LIMITS.exec(text.replaceAll(/(^|\s)#.*$/gm, "")) ?? [];
  return found === undefined ? null : `calls ${found.trim()}, and has no <!-- sample: reason --> before it`;
}

/** What to run for a block: shell as it stands, JavaScript as a module in the same place with the same variables. */
function commandOf(block: Block, index: number, url: string): { command: string; file: string; text: string } | string {
  const text = localised(block.text, url);
  if (block.language === "sh") return text;
  const file = `block-${index}.mjs`;
  return { command: `node ${file}`, file, text };
}

async function prepare(folder: string, address: string): Promise<NodeJS.ProcessEnv> {
  const bin = join(folder, "bin");
  await mkdir(bin);
  const real = await new Promise<string>((found, failed) => {
    execFile("sh", ["-c", "command -v curl"], (error, stdout) => (error ? failed(error) : found(stdout.trim())));
  });
  const tools = Object.entries({ ...TOOLS, curl: curlFrom(address, real) });
  await Promise.all(
    tools.map(async ([name, script]) => {
      await writeFile(join(bin, name), script);
      await chmod(join(bin, name), 0o755);
    }),
  );
  // The one package that samples import, and not all of them: a sample gone wrong must not reach the project's own.
  await mkdir(join(folder, "node_modules"));
  await symlink(join(ROOT, "node_modules/jose"), join(folder, "node_modules/jose"));
  const path = [bin, dirname(process.execPath), process.env["PATH"] ?? ""].join(delimiter);
  return { PATH: path, HOME: folder, LC_ALL: "C.UTF-8" };
}

/**
 * Runs `blocks` against the server at `url` as the client at `address`, in a folder that is deleted afterwards. Throws with
 * the output when a command fails, a variable is unset, or it takes more than a minute.
 */
export async function runBlocks(blocks: readonly Block[], url: string, address: string): Promise<Printed[]> {
  for (const block of blocks) {
    const refusal = refusalOf(block);
    if (refusal !== null) throw new Error(`${block.file}:${block.line} ${refusal}`);
  }
  const folder = await mkdtemp(join(tmpdir(), "postern-samples-"));
  try {
    const env = await prepare(folder, address);
    const script = ["set -uE -o pipefail", `trap 'echo "${FAILED} $BASH_COMMAND"' ERR`];
    for (const [index, block] of blocks.entries()) {
      const command = commandOf(block, index, url);
      if (typeof command !== "string") await writeFile(join(folder, command.file), command.text);
      script.push(typeof command === "string" ? command : command.command, `printf '\\n${BLOCK_END}\\n'`);
    }
    await writeFile(join(folder, "blocks.sh"), `exec 2>&1\n${script.join("\n")}\n`);
    const output = await new Promise<string>((done) => {
      const options = { cwd: folder, env, timeout: TIMEOUT_MS, maxBuffer: 8 * 1024 * 1024 };
      execFile("bash", ["blocks.sh"], options, (_error, stdout) => done(stdout));
    });
    const parts = output.split(`\n${BLOCK_END}\n`);
    if (parts.length !== blocks.length + 1 || output.includes(FAILED)) throw new Error(`a sample fails:\n${output}`);
    return blocks.map((block, index) => ({ block, output: (parts[index] ?? "").trim() }));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** A pattern for what a document shows: as it stands, but for `…`, which is anything within a line. */
export function patternOf(shown: string): RegExp {
  const literal = shown.trim().replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);
  return new RegExp(`^${literal.replaceAll("…", "[^\\n]*?").replaceAll("\n", "\\r?\\n")}$`);
}
