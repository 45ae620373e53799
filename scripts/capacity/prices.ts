// What the platform charges, as its pricing pages said at PRICES_DATE (Workers Paid, US dollars). The only prices in the
// repository: a change of them is a change here and `npm run capacity -- --write`.

export const PRICES_DATE = "2026-11";
export const BASE_DOLLARS = 5;

export interface Price {
  readonly unit: string;
  /** What a month includes, and what a million beyond that costs; for storage, GB and dollars per GB-month. */
  readonly included: number;
  readonly dollars: number;
  readonly per: number;
}

const MILLION = 1e6;

export const PRICES = {
  requests: { unit: "Worker requests", included: 10e6, dollars: 0.3, per: MILLION },
  cpuMs: { unit: "Worker CPU, ms", included: 30e6, dollars: 0.02, per: MILLION },
  objectRequests: { unit: "object requests", included: 1e6, dollars: 0.15, per: MILLION },
  objectGbSeconds: { unit: "object duration, GB-s", included: 400e3, dollars: 12.5, per: MILLION },
  objectRowsRead: { unit: "object rows read", included: 25e9, dollars: 0.001, per: MILLION },
  objectRowsWritten: { unit: "object rows written", included: 50e6, dollars: 1, per: MILLION },
  objectGb: { unit: "object storage, GB", included: 5, dollars: 0.2, per: 1 },
  d1RowsRead: { unit: "D1 rows read", included: 25e9, dollars: 0.001, per: MILLION },
  d1RowsWritten: { unit: "D1 rows written", included: 50e6, dollars: 1, per: MILLION },
  d1Gb: { unit: "D1 storage, GB", included: 5, dollars: 0.75, per: 1 },
  logLines: { unit: "log lines", included: 20e6, dollars: 0.6, per: MILLION },
} as const satisfies Record<string, Price>;

export type Item = keyof typeof PRICES;

export function dollarsOf(item: Item, amount: number): number {
  const { included, dollars, per } = PRICES[item];
  return (Math.max(0, amount - included) / per) * dollars;
}
