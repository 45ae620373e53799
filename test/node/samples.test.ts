// The samples in the documents: shell runs against a local Postern as `npm run dev` serves it, from top to bottom, and prints
// what the document shows; all others are parsed. `<!-- sample: … -->` before a fence says `output` (of the block before),
// `run` (JavaScript, in the shell before it), or why a block is not run; such a block is checked all the same.
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Server, startPostern } from "../../scripts/smoke/server.ts";
import { unknownCommands } from "./samples/commands.ts";
import { type Block, blocksOf, documents, indentedCode, readDocument, ROOT } from "./samples/markdown.ts";
import { localised, patternOf, runBlocks } from "./samples/shell.ts";
import { faultOf } from "./samples/syntax.ts";

const all = documents().map((file) => ({ file, markdown: readDocument(file) }));
const blocks = all.flatMap(({ file, markdown }) => blocksOf(file, markdown));

const isRun = ({ language, mark }: Block): boolean => (language === "sh" && mark === null) || mark === "run";
const runnable = [...new Set(blocks.filter(isRun).map(({ file }) => file))].map((file, index) => ({
  file,
  // Nobody else's: the default limits are the reader's, and hold for each document.
  address: `198.51.100.${index + 1}`,
  blocks: blocks.filter((block) => block.file === file),
}));

let server: Server;
beforeAll(async () => {
  server = await startPostern([]);
});
afterAll(async () => {
  await server.stop();
});

describe("every block of a document is checked by its language", () => {
  test.each(blocks.map((block) => ({ ...block, at: `${block.file}:${block.line}` })))(
    "$at $language",
    async (block) => {
      expect(await faultOf(block)).toBeNull();
    },
  );

  test("and none is written by indentation, where it would have no language", () => {
    expect(all.flatMap(({ file, markdown }) => indentedCode(markdown).map((line) => `${file}:${line}`))).toEqual([]);
  });
});

test("scripts, flags and subcommands that the documents name exist", () => {
  const unknown = all.flatMap(({ file, markdown }) => unknownCommands(markdown).map((fault) => `${file}: ${fault}`));
  expect(unknown).toEqual([]);
});

describe("run from top to bottom in one shell, the samples print what is shown", () => {
  test.each(runnable)("$file", async ({ file, address, blocks: ofFile }) => {
    const printed = await runBlocks(ofFile.filter(isRun), server.url, address);
    let last = "";
    for (const block of ofFile) {
      if (isRun(block)) last = printed.find((one) => one.block === block)?.output ?? "";
      else if (block.mark === "output") {
        expect(last, `${file}:${block.line}`).toMatch(patternOf(localised(block.text, server.url)));
      }
    }
  });
});

test("the five minutes of the README show what they promise", async () => {
  const tour = blocks.filter((block) => block.file === "README.md" && isRun(block));
  const printed = await runBlocks(tour, server.url, "198.51.100.200");
  const output = printed.map((one) => one.output).join("\n");
  const promised = [
    /"users":\[/,
    /"code":"missing_token"/,
    /"x-user-id":"019a0000-/,
    /postern-refresh: rotated/i,
    /postern-refresh: replayed/i,
    /"sessions":\[/,
    /^204$/m,
    /"code":"token_revoked"/,
    /set-cookie: session_id=/i,
    /^sunset: /im,
    /postern-upgrade: \/auth\/exchange/i,
  ];
  for (const promise of promised) expect(output).toMatch(promise);
  expect(output).not.toContain('"x-user-id":"root"');
  expect(output).not.toMatch(/"authorization":/i);
});

test("the browser client of the migration guide logs in, calls, refreshes when its token expires, and repeats", async () => {
  const sample = blocks.find(({ file, language }) => file === "docs/auth-migration-guide.md" && language === "js");
  const folder = await mkdtemp(join(tmpdir(), "postern-browser-"));
  try {
    const module = join(folder, "client.mjs");
    await writeFile(module, sample?.text ?? "");
    const player = join(ROOT, "test/node/samples/browser-client.ts");
    const { stdout } = await promisify(execFile)(process.execPath, [player, module, server.url]);
    expect(stdout.trim().split("\n")).toEqual([
      "POST /auth/login 200",
      "GET /api/users 200",
      "GET /api/users 401",
      "POST /auth/refresh 200",
      "GET /api/users 200",
    ]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

test("what the samples for an origin call is in the files they are copied from", () => {
  const of = (language: string): string =>
    blocks.find((block) => block.file === "docs/origin.md" && block.language === language)?.text ?? "";
  const exists = (names: readonly string[], file: string, declaration: (name: string) => string): void => {
    expect(names.length).toBeGreaterThan(0);
    for (const name of names) expect(readDocument(file)).toContain(declaration(name));
  };
  const called = (text: string, pattern: RegExp): string[] => [...text.matchAll(pattern)].map(([, name = ""]) => name);
  for (const file of ["docs/origin/node/express.ts", "docs/origin/node/hono.ts"]) {
    exists(called(of("ts"), /app\.use\((\w+)\(/g), file, (name) => `export function ${name}(`);
  }
  exists(called(of("python"), /\b(Postern\w+)/g), "docs/origin/python/postern.py", (name) => `class ${name}`);
  exists(called(of("go"), /postern\.(\w+)\(/g), "docs/origin/go/postern.go", (name) => `func ${name}(`);
});

interface Operation {
  readonly tags?: readonly string[];
  readonly responses: Readonly<Record<string, { readonly description?: string }>>;
}

test("docs/api/authentication.md has every call of a client, with every code it answers", () => {
  const page = readDocument("docs/api/authentication.md");
  const [intro = "", ...sections] = page.split(/\n(?=##+ )/);
  const common = [intro, ...sections.filter((section) => section.startsWith("## What holds for all calls"))].join("\n");
  const api = JSON.parse(readDocument("docs/api/openapi.json")) as { paths: Record<string, Record<string, Operation>> };
  const missing = Object.entries(api.paths).flatMap(([path, methods]) =>
    Object.entries(methods).flatMap(([method, { tags, responses }]) => {
      const call = `${method.toUpperCase()} ${path}`;
      if (tags?.includes("client") !== true && path !== "/auth/exchange" && tags?.includes("well-known") !== true)
        return [];
      const section = sections.find((text) => text.includes(`\`${call}\``));
      if (section === undefined) return [call];
      const codes = Object.values(responses).flatMap(({ description }) =>
        [...(description ?? "").matchAll(/`(\w+)`/g)].map(([, code = ""]) => code),
      );
      return codes.filter((code) => !`${common}${section}`.includes(`\`${code}\``)).map((code) => `${call}: ${code}`);
    }),
  );
  expect(missing).toEqual([]);
});
