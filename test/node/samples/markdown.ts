// Reads Markdown for the tests of samples and links: fenced blocks with their marks, prose without code. No Markdown
// parser: it knows what these documents use.
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";

export const ROOT = resolve(import.meta.dirname, "../../..");

export interface Block {
  readonly file: string;
  /** Of the opening fence, from 1. */
  readonly line: number;
  /** Empty when the fence names none. */
  readonly language: string;
  /** What `<!-- sample: … -->` on the line before the fence says, or null. */
  readonly mark: string | null;
  readonly text: string;
}

/** Folders that hold no documents of ours. */
const ELSEWHERE = new Set(["node_modules", ".git", ".wrangler", "coverage", "dist"]);

function documentsIn(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return ELSEWHERE.has(entry.name) ? [] : documentsIn(path);
    return entry.name.endsWith(".md") ? [path] : [];
  });
}

/** Every Markdown file of the project, relative to its root. */
export const documents = (): string[] => documentsIn(".").toSorted();

export const readDocument = (file: string): string => readFileSync(join(ROOT, file), "utf8");

const FENCE = /^ *```(\S*)\s*$/;

/** The fenced blocks of a document. Throws when a fence is not closed. */
export function blocksOf(file: string, markdown: string): Block[] {
  const lines = markdown.split("\n");
  const blocks: Block[] = [];
  for (let at = 0; at < lines.length; at += 1) {
    const [, language] = FENCE.exec(lines[at] ?? "") ?? [];
    if (language === undefined) continue;
    const end = lines.findIndex((line, index) => index > at && /^ *```\s*$/.test(line));
    if (end === -1) throw new Error(`${file}:${at + 1}: the fence is not closed`);
    const [, mark = null] = /^ *<!-- sample: (.+?) -->\s*$/.exec(lines[at - 1] ?? "") ?? [];
    blocks.push({ file, line: at + 1, language, mark, text: lines.slice(at + 1, end).join("\n") });
    at = end;
  }
  return blocks;
}

/** `markdown` with the lines of fenced blocks emptied, so that line numbers stay. */
export function withoutBlocks(markdown: string): string {
  let isInside = false;
  const lines = markdown.split("\n").map((line) => {
    const isFence = /^ *```/.test(line);
    if (isFence) isInside = !isInside;
    return isFence || isInside ? "" : line;
  });
  return lines.join("\n");
}

/** `markdown` without fenced blocks and without code in backticks. */
export const proseOf = (markdown: string): string => withoutBlocks(markdown).replaceAll(/`[^`\n]*`/g, "");

/** Line numbers of code by indentation, which has no language and so cannot be checked. */
export function indentedCode(markdown: string): number[] {
  const lines = withoutBlocks(markdown).split("\n");
  let isList = false;
  return lines.flatMap((line, index) => {
    if (/^\s*([-*]|\d+\.) /.test(line)) isList = true;
    else if (/^\S/.test(line)) isList = false;
    const isCode = /^ {4}\S/.test(line) && (lines[index - 1] ?? "").trim() === "" && !isList;
    return isCode ? [index + 1] : [];
  });
}
