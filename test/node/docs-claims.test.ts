// What the documents say that a machine can check: tests they cite exist, the storage layout is the one in the code,
// every log event, audit event and variable is documented. Sources are read as text; what they mean is not judged here.
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, expect, test } from "vitest";

const ROOT = resolve(import.meta.dirname, "../..");

const read = (file: string): string => readFileSync(join(ROOT, file), "utf8");

const filesIn = (folder: string, ending: string): string[] =>
  readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(ending) && !file.includes("node_modules"))
    .map((file) => join(folder, file))
    .toSorted();

const allOf = (text: string, pattern: RegExp): string[] =>
  [...text.matchAll(pattern)].map(([, found = ""]) => found).toSorted();

const unique = (values: readonly string[]): string[] => [...new Set(values)];

/** The text from `heading` to the next heading of its level. */
function section(text: string, heading: string): string {
  const [, after] = text.split(`\n${heading}\n`);
  if (after === undefined) throw new Error(`there is no ${heading}`);
  const level = heading.split(" ")[0] ?? "";
  return after.split(`\n${level} `)[0] ?? "";
}

/** Rows whose first cell is a name in backticks, with the names in backticks of the second: `table.column`. */
function columnsOfRows(markdown: string): string[] {
  return markdown.split("\n").flatMap((row) => {
    const [, first = "", second = ""] = row.split("|");
    const [table] = allOf(first, /^ `(\w+)` $/g);
    return table === undefined ? [] : allOf(second, /`(\w+)`/g).map((column) => `${table}.${column}`);
  });
}

/** Every column that the CREATE TABLE statements in `sql` make: `table.column`. */
function columnsOfSql(sql: string): string[] {
  return [...sql.matchAll(/CREATE TABLE (?:IF NOT EXISTS )?(\w+) \(([\s\S]*?)\n\s*\) STRICT/g)].flatMap(
    ([, table, body = ""]) =>
      allOf(body.replaceAll(/--.*$/gm, ""), /(\w+)\s+(?:TEXT|INTEGER|BLOB|REAL)\b/g).map(
        (column) => `${table}.${column}`,
      ),
  );
}

const CITATION = /`(test\/[\w./-]+\.test\.ts)`\s+›\s+"([^"]+)"/g;

describe("a test that a document on security cites", () => {
  test.each(filesIn("docs/security", ".md"))("exists: %s", (file) => {
    const text = read(file).replaceAll(/\s+/g, " ");
    const cited = [...text.matchAll(CITATION)].map(([, path = "", name = ""]) => ({ path, name }));
    expect(cited).toHaveLength(text.split(" › ").length - 1);
    const missing = cited.filter(({ path, name }) => {
      const literal = JSON.stringify(name).replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);
      return !new RegExp(String.raw`\(\s*${literal}`).test(read(path));
    });
    expect(missing).toEqual([]);
  });

  test("is cited at all", () => {
    for (const file of ["docs/security/threat-model.md", "docs/security/jwt-best-practices.md"]) {
      expect([...read(file).replaceAll(/\s+/g, " ").matchAll(CITATION)].length).toBeGreaterThan(20);
    }
  });
});

describe("docs/architecture.md has every table and column, and no other", () => {
  const architecture = read("docs/architecture.md");

  test("of D1", () => {
    const sql = filesIn("migrations", ".sql").map(read).join("\n");
    const documented = columnsOfRows(section(architecture, "### D1"));
    expect(documented.toSorted()).toEqual(columnsOfSql(sql).toSorted());
    expect(documented.length).toBeGreaterThan(30);
  });

  test("of the objects", () => {
    const documented = columnsOfRows(section(architecture, "### Objects"));
    expect(documented.toSorted()).toEqual(columnsOfSql(read("src/sessions/object.ts")).toSorted());
    expect(documented.length).toBeGreaterThan(15);
  });
});

describe("docs/operations.md names", () => {
  const operations = read("docs/operations.md");
  const undocumented = (names: readonly string[]): string[] =>
    unique(names).filter((name) => !operations.includes(`\`${name}\``));

  test("every log event", () => {
    const events = allOf(read("src/kit/log.ts"), /readonly event: "([\w.]+)"/g);
    expect(events.length).toBeGreaterThan(5);
    expect(undocumented(events)).toEqual([]);
  });

  test("every audit event", () => {
    const events = allOf(read("src/audit/events.ts"), /"([a-z]+\.[a-z.]+)"/g);
    expect(events.length).toBeGreaterThan(10);
    expect(undocumented(events)).toEqual([]);
  });

  test("every variable, and none that there is not", () => {
    const [, schema = ""] = read("src/kit/config.ts").split("const variables = z.object({");
    const variables = allOf(schema.split("\n});")[0] ?? "", /^ {2}([A-Z_]+):/gm);
    expect(variables.length).toBeGreaterThan(30);
    const documented = allOf(section(operations, "## Variables"), /^\| `([A-Z_]+)`/gm);
    expect(documented).toEqual(variables);
  });
});
