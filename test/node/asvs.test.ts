// docs/security/asvs.md as a machine can check it: every requirement has a verdict, every verdict its grounds. Whether a
// cited test exists is docs-claims.test.ts; whether it shows what is claimed is for people.
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { describe, expect, test } from "vitest";

const ROOT = resolve(import.meta.dirname, "../..");
const FILE = "docs/security/asvs.md";
const text = readFileSync(join(ROOT, FILE), "utf8");

interface Row {
  readonly id: string;
  readonly level: string;
  readonly verdict: string;
  readonly how: string;
  readonly shown: string;
}

const rows: Row[] = text
  .split("\n")
  .filter((line) => /^\| \d/.test(line))
  .map((line) => {
    const [id = "", level = "", verdict = "", how = "", shown = ""] = line.slice(1, -1).split(" | ");
    return { id: id.trim(), level, verdict, how, shown: shown.trim() };
  });

/** The section under a heading of level two. */
const section = (heading: string): string => text.split(`\n## ${heading}\n`)[1]?.split("\n## ")[0] ?? "";

describe("every requirement", () => {
  test("is there once, in order of its chapter, with a level and a verdict", () => {
    expect(rows.length).toBeGreaterThan(80);
    expect(new Set(rows.map(({ id }) => id)).size).toBe(rows.length);
    const chapters = rows.map(({ id }) => Number.parseInt(id, 10));
    expect(chapters).toEqual(chapters.toSorted((a, b) => a - b));
    expect(new Set(chapters)).toEqual(new Set(Array.from({ length: 16 }, (_, at) => at + 1)));
    expect(rows.filter(({ level }) => !["1", "2", "3", "all"].includes(level))).toEqual([]);
    expect(rows.filter(({ verdict }) => !["met", "not applicable", "deviation"].includes(verdict))).toEqual([]);
    expect(rows.filter(({ how }) => how.length < 8)).toEqual([]);
  });

  test("that is met names a test, a page or a file that shows it", () => {
    const isGrounds = (shown: string): boolean => / › "|\]\([^)]+\.(?:md|json)|^`src\//.test(shown);
    expect(rows.filter(({ verdict, shown }) => verdict === "met" && !isGrounds(shown))).toEqual([]);
  });

  test("that is deviated from is argued, there or under Deviations", () => {
    const argued = section("Deviations");
    const silent = rows.filter(({ id, verdict }) => verdict === "deviation" && !argued.includes(id));
    expect(silent).toEqual([]);
  });
});

test("files and pages that are named exist", () => {
  const pages = [...text.matchAll(/\]\(([^)#]+)(?:#[^)]*)?\)/g)].map(([, path = ""]) => join(dirname(FILE), path));
  const files = [...text.matchAll(/`(src\/[\w./-]+)`/g)].map(([, path = ""]) => path);
  expect([...pages, ...files].filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
});

test("all ten risks of the Top 10 are answered", () => {
  expect(section("OWASP Top 10 (2025)").match(/^\| A\d\d /gm)).toHaveLength(10);
});
