// What is wrong with a sample that is not run, by language: null when nothing is. Real parsers where the project has
// one; for the rest the shape, and the language's own tool besides if the machine has it.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { transform } from "esbuild";
import { type Block, ROOT } from "./markdown.ts";

type Check = (block: Block) => Promise<string | null> | string | null;

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** What `tool` says of `input`, null when it is content. `isNeeded` false: null, too, where there is no such tool. */
function toolSays(tool: string, args: readonly string[], input: string, isNeeded: boolean): string | null {
  const { error, status, stderr } = spawnSync(tool, args, { input, encoding: "utf8", timeout: 30_000 });
  if (error !== undefined) return isNeeded ? error.message : null;
  return status === 0 ? null : stderr;
}

const PAIRS: Readonly<Record<string, string>> = { ")": "(", "]": "[", "}": "{" };

/** Brackets that do not match, strings (of one line) left out. */
function unbalanced(text: string): string | null {
  const open: string[] = [];
  for (const char of text.replaceAll(/"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'/g, "")) {
    if ("([{".includes(char)) open.push(char);
    const partner = PAIRS[char];
    if (partner !== undefined && open.pop() !== partner) return `${char} closes nothing`;
  }
  return open.length === 0 ? null : `${open.join(" ")} is not closed`;
}

const script =
  (loader: "js" | "ts"): Check =>
  async ({ text }) => {
    try {
      await transform(text, { loader });
      return null;
    } catch (error) {
      return messageOf(error);
    }
  };

const json: Check = ({ text }) => {
  try {
    JSON.parse(text);
    return null;
  } catch (error) {
    return messageOf(error);
  }
};

/** Fields after a start line that may be missing, then perhaps an empty line and a body. */
const http: Check = (block) => {
  const [head = "", ...body] = block.text.split("\n\n");
  const isHead = (line: string, index: number): boolean =>
    (index === 0 && /^([A-Z]+ \/\S* HTTP\/1\.1|HTTP\/1\.1 \d{3} .+)$/.test(line)) || /^[\w-]+: \S.*$/.test(line);
  const odd = head.split("\n").find((line, index) => !isHead(line, index));
  if (odd !== undefined) return `neither a start line nor a field: ${odd}`;
  return body.length > 0 && /content-type: application\/json/i.test(head)
    ? json({ ...block, text: body.join("\n\n") })
    : null;
};

const toml: Check = async ({ text }) => {
  const { experimental_readRawConfig: readRawConfig } = await import("wrangler");
  const folder = mkdtempSync(join(tmpdir(), "postern-toml-"));
  try {
    const config = join(folder, "wrangler.toml");
    writeFileSync(config, text);
    return Object.keys(readRawConfig({ config }).rawConfig).length > 0 ? null : "says nothing";
  } catch (error) {
    return messageOf(error);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
};

/** Against an empty database of ours; marked ones are in the dialect of another, and only have to be a query. */
const sql: Check = ({ text, mark }) => {
  if (mark !== null) return /^\s*SELECT\b/i.test(text) ? unbalanced(text) : "is not a query";
  const database = new DatabaseSync(":memory:");
  try {
    for (const file of readdirSync(join(ROOT, "migrations")).toSorted()) {
      database.exec(readFileSync(join(ROOT, "migrations", file), "utf8"));
    }
    database.exec(text);
    return null;
  } catch (error) {
    return messageOf(error);
  } finally {
    database.close();
  }
};

const OPENERS = /^(par|opt|alt|loop|critical|break|rect|box|subgraph)\b/;

const mermaid: Check = ({ text }) => {
  const [kind = "", ...lines] = text.split("\n").map((line) => line.trim());
  if (!/^(sequenceDiagram|flowchart (TD|TB|LR|RL|BT)|stateDiagram-v2)$/.test(kind)) return `unknown diagram: ${kind}`;
  const opened = lines.filter((line) => OPENERS.test(line)).length;
  const ended = lines.filter((line) => line === "end").length;
  if (opened !== ended) return `${opened} blocks opened, ${ended} ended`;
  if (kind !== "sequenceDiagram") return unbalanced(text);
  const declared = new Set(lines.flatMap((line) => /^(?:participant|actor) (\w+)/.exec(line)?.[1] ?? []));
  const arrows = lines.map((line) => /^(\w+)(?:--?>>?|--?x|--?\))[+-]?(\w+):/.exec(line));
  const stranger = arrows.flatMap((arrow) => arrow?.slice(1) ?? []).find((name) => !declared.has(name));
  return stranger === undefined ? null : `${stranger} is no participant`;
};

const nginx: Check = ({ text }) => {
  const odd = text.split("\n").find((line) => line.trim() !== "" && !/[;{}]$/.test(line.trim()));
  return odd === undefined ? unbalanced(text) : `ends in the middle: ${odd}`;
};

/** A figure, or output. What a reader would paste belongs into `sh`. */
const text: Check = (block) =>
  /^\s*\$? ?(npm|npx|curl|node) /m.test(block.text) ? "is a command: write it as sh" : null;

const CHECKS: Readonly<Record<string, Check>> = {
  sh: ({ text: commands }) => toolSays("bash", ["-n"], commands, true),
  js: script("js"),
  ts: script("ts"),
  python: ({ text: code }) =>
    unbalanced(code.replaceAll(/#.*$/gm, "")) ??
    toolSays("python3", ["-c", "import ast, sys; ast.parse(sys.stdin.read())"], code, false),
  go: ({ text: code }) =>
    unbalanced(code.replaceAll(/\/\/.*$/gm, "")) ??
    toolSays("gofmt", ["-e", "-l"], `package p\n\nfunc sample() {\n${code}\n}\n`, false),
  json,
  http,
  toml,
  sql,
  mermaid,
  nginx,
  text,
};

/** What is wrong with `block`, or null. Shown output is compared where it is printed, and need not be a whole document. */
export async function faultOf(block: Block): Promise<string | null> {
  const check = CHECKS[block.language];
  if (check === undefined) return `unknown language "${block.language}"`;
  return block.mark === "output" ? null : check(block);
}
