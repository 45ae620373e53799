// docs/capacity.md: its tables are those that the counts, the prices and the assumptions give today.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { DEFAULTS } from "../../scripts/capacity/behaviour.ts";
import { amountsOf, billOf, type Counts, operationsOf, totalOf } from "../../scripts/capacity/bill.ts";
import { BASE_DOLLARS } from "../../scripts/capacity/prices.ts";
import { measureSizes } from "../../scripts/capacity/sizes.ts";
import { tablesOf, withTables } from "../../scripts/capacity/tables.ts";

const ROOT = join(import.meta.dirname, "../..");
const read = (path: string): string => readFileSync(join(ROOT, path), "utf8");
const counts = JSON.parse(read("scripts/capacity/counts.json")) as Counts;

describe("docs/capacity.md", () => {
  test("is what npm run capacity -- --write makes of it", () => {
    const text = read("docs/capacity.md");
    expect(withTables(text, tablesOf(counts, measureSizes()))).toBe(text);
  });
});

describe("the bill", () => {
  const sizes = { userBytes: 400, eventBytes: 600 };

  test("is the base price for nobody", () => {
    expect(totalOf(billOf(amountsOf(0, counts, sizes, DEFAULTS)))).toBe(BASE_DOLLARS);
  });

  test("counts every authorised request once, warm or not", () => {
    const done = operationsOf({ ...DEFAULTS, dailyShare: 1, requestsPerDay: 10, requestsPerLease: 4 });
    const warm = done["authorised, warm"] ?? 0;
    const leases = (done["authorised, first of a lease"] ?? 0) + (done["authorised, next lease within 30 s"] ?? 0);
    expect(warm + leases).toBeCloseTo(300);
    expect(leases).toBeCloseTo(75);
  });

  test("grows with the users in proportion, but for the cron", () => {
    const one = amountsOf(1000, counts, sizes, DEFAULTS);
    const ten = amountsOf(10_000, counts, sizes, DEFAULTS);
    expect(ten.objectRequests).toBeCloseTo(10 * one.objectRequests);
    expect(ten.requests - 10 * one.requests).toBeCloseTo(-9 * 720);
  });
});
