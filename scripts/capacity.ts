// `npm run capacity`: what Postern costs in a month, from the counts of test/costs.test.ts. `--write` renews the tables of
// docs/capacity.md, `--measure` the counts; `--dailyShare 0.5` and its like change an assumption (capacity/behaviour.ts).
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { DEFAULTS } from "./capacity/behaviour.ts";
import type { Counts } from "./capacity/bill.ts";
import { measureSizes } from "./capacity/sizes.ts";
import { tablesOf, withTables } from "./capacity/tables.ts";

const ROOT = join(import.meta.dirname, "..");
const DOCUMENT = join(ROOT, "docs/capacity.md");
const COUNTS = join(ROOT, "scripts/capacity/counts.json");
const MEASURE = ["run", "--project", "workerd", "test/costs.test.ts", "-u"];

const assumptions = Object.fromEntries(Object.keys(DEFAULTS).map((name) => [name, { type: "string" as const }]));
const { values } = parseArgs({
  options: { ...assumptions, write: { type: "boolean" }, measure: { type: "boolean" } },
});

const changes = Object.entries(values).flatMap(([name, value]) => {
  if (typeof value !== "string") return [];
  const number = Number(value);
  if (value === "" || !(number >= 0)) throw new Error(`--${name} must be a number, 0 or more`);
  return [[name, number] as const];
});
if (values.write === true && changes.length > 0) throw new Error("--write takes the assumptions as they are");

if (values.measure === true && spawnSync("vitest", MEASURE, { cwd: ROOT, stdio: "inherit" }).status !== 0) {
  throw new Error("the counts could not be taken");
}

const counts = JSON.parse(readFileSync(COUNTS, "utf8")) as Counts;
const tables = tablesOf(counts, measureSizes(), { ...DEFAULTS, ...Object.fromEntries(changes) });
if (values.write === true) writeFileSync(DOCUMENT, withTables(readFileSync(DOCUMENT, "utf8"), tables));
else for (const content of Object.values(tables)) console.log(`\n${content}`);
