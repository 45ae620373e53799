// The tables of docs/capacity.md, and how they get there: between markers, so that the words around them stay.
import { type Behaviour, DEFAULTS } from "./behaviour.ts";
import { amountsOf, billOf, type Costs, type Counts, totalOf } from "./bill.ts";
import { type Item, type Price, PRICES, PRICES_DATE } from "./prices.ts";
import type { Sizes } from "./sizes.ts";

const SCALES = [10_000, 1_000_000, 100_000_000];
const NUMBERS = new Intl.NumberFormat("en-GB", { maximumSignificantDigits: 3 });
const AMOUNTS = new Intl.NumberFormat("en-GB", { notation: "compact", maximumSignificantDigits: 3 });

function table(header: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const line = (cells: readonly (string | number)[]) => `| ${cells.join(" | ")} |`;
  return [line(header), line(header.map((_, i) => (i === 0 ? "---" : "---:"))), ...rows.map(line)].join("\n");
}

const dollars = (amount: number): string => `$${NUMBERS.format(amount)}`;

function operations(counts: Counts): string {
  const row = ([name, c]: readonly [string, Costs]) => [
    name,
    c.laterObjects === 0 ? c.objects : `${c.objects} + ${c.laterObjects}`,
    c.laterD1 === 0 ? c.d1 : `${c.d1} + ${c.laterD1}`,
    c.sign,
    c.verify,
    c.hash,
    `${c.objectRowsRead} / ${c.objectRowsWritten}`,
    c.alarms,
    `${c.d1RowsRead} / ${c.d1RowsWritten}`,
  ];
  const header = ["operation", "objects", "D1", "sign", "verify", "hash", "object rows", "alarms", "D1 rows"];
  return table(header, Object.entries(counts.operations).map(row));
}

function prices(): string {
  const rows = Object.values<Price>(PRICES).map(({ unit, included, dollars: price, per }) => [
    unit,
    AMOUNTS.format(included),
    `$${price}${per === 1 ? "" : " per million"}`,
  ]);
  return table([`Workers Paid, ${PRICES_DATE}`, "included in a month", "beyond that"], rows);
}

function bills(counts: Counts, sizes: Sizes, behaviour: Behaviour): string {
  const amounts = SCALES.map((users) => amountsOf(users, counts, sizes, behaviour));
  const billed = amounts.map(billOf);
  const rows = (Object.keys(PRICES) as Item[]).map((item) => [
    PRICES[item].unit,
    ...amounts.map((of, i) => `${AMOUNTS.format(of[item])}: ${dollars(billed[i]?.[item] ?? 0)}`),
  ]);
  const totals = ["**a month, with the base price**", ...billed.map((bill) => `**${dollars(totalOf(bill))}**`)];
  return table(["", ...SCALES.map((users) => `${AMOUNTS.format(users)} users`)], [...rows, totals]);
}

const VARIANTS: readonly (readonly [string, Partial<Behaviour>])[] = [
  ["as above", {}],
  ["a lease serves 10 requests instead of 3 (`REVOCATION_LEASE_SECONDS=10`)", { requestsPerLease: 10 }],
  ["one refresh a day instead of 3 (`ACCESS_TOKEN_SECONDS=3600`)", { refreshesPerDay: 1 }],
  ["no line in the log per request (`LOG_REQUESTS=off`)", { logShare: 0 }],
  ["audit trail kept for 90 days (`AUDIT_DAYS=90`)", { auditDays: 90 }],
  ["objects billed for 1 s per call instead of 5 ms", { objectMs: 1000 }],
];

function variants(counts: Counts, sizes: Sizes, behaviour: Behaviour): string {
  const rows = VARIANTS.map(([name, change]) => [
    name,
    ...SCALES.map((users) => dollars(totalOf(billOf(amountsOf(users, counts, sizes, { ...behaviour, ...change }))))),
  ]);
  return table(["dollars a month", ...SCALES.map((users) => `${AMOUNTS.format(users)} users`)], rows);
}

function weights({ bytes }: Counts, sizes: Sizes): string {
  const perDatabase = (one: number): string => AMOUNTS.format(10e9 / one);
  return table(
    ["", "bytes", "of these 10 GB hold"],
    [
      ["a user's row in D1, with its indexes", sizes.userBytes, perDatabase(sizes.userBytes)],
      ["an event of the audit trail in D1, with its indexes", sizes.eventBytes, perDatabase(sizes.eventBytes)],
      ["the object of a user with one session", bytes.sessionsOfOneUser, "one object each"],
    ],
  );
}

export function tablesOf(
  counts: Counts,
  sizes: Sizes,
  behaviour: Behaviour = DEFAULTS,
): Readonly<Record<string, string>> {
  const assumed = table(
    ["assumed", "value"],
    Object.entries(behaviour).map(([name, value]) => [`\`${name}\``, value]),
  );
  return {
    operations: operations(counts),
    prices: prices(),
    assumptions: assumed,
    bills: bills(counts, sizes, behaviour),
    variants: variants(counts, sizes, behaviour),
    weights: weights(counts, sizes),
  };
}

/** `text` with every table where its markers are. */
export function withTables(text: string, tables: Readonly<Record<string, string>>): string {
  return Object.entries(tables).reduce((whole, [name, content]) => {
    const start = `<!-- ${name}: npm run capacity -- --write -->`;
    const end = `<!-- /${name} -->`;
    const from = whole.indexOf(start);
    const to = whole.indexOf(end);
    if (from < 0 || to < from) throw new Error(`docs/capacity.md has no place for ${name}`);
    return `${whole.slice(0, from + start.length)}\n\n${content}\n\n${whole.slice(to)}`;
  }, text);
}
