// From counts per operation and assumed behaviour to a month's amounts and dollars. Pure.
import type { Behaviour } from "./behaviour.ts";
import { BASE_DOLLARS, dollarsOf, type Item, PRICES } from "./prices.ts";
import type { Sizes } from "./sizes.ts";

export interface Costs {
  readonly objects: number;
  readonly d1: number;
  readonly sign: number;
  readonly verify: number;
  readonly hash: number;
  readonly laterObjects: number;
  readonly laterD1: number;
  readonly objectRowsRead: number;
  readonly objectRowsWritten: number;
  readonly alarms: number;
  readonly d1RowsRead: number;
  readonly d1RowsWritten: number;
}

export interface Counts {
  readonly bytes: { readonly sessionsOfOneUser: number };
  readonly operations: Readonly<Record<string, Costs>>;
}

export type Amounts = Record<Item, number>;

const DAYS = 30;
const GB = 1e9;
const OBJECT_GB = 0.128;
const CRON_RUNS = DAYS * 24;

/** How often a user does what in a month. */
export function operationsOf(behaviour: Behaviour): Readonly<Record<string, number>> {
  const { loginsPerMonth: logins, ipv6Share, requestsPerLease } = behaviour;
  const days = DAYS * behaviour.dailyShare;
  const requests = days * behaviour.requestsPerDay;
  const leases = requests / requestsPerLease;
  const first = Math.min(leases, days * behaviour.visitsPerDay);
  return {
    "authorised, warm": requests - leases,
    "authorised, first of a lease": first,
    "authorised, next lease within 30 s": leases - first,
    refresh: days * behaviour.refreshesPerDay,
    "login, IPv4": logins * (1 - ipv6Share),
    "login, IPv6": logins * ipv6Share,
    "login, wrong password": logins * behaviour.failedPerLogin,
    logout: logins * behaviour.logoutsPerLogin,
  };
}

function costsOf(counts: Counts, name: string): Costs {
  const costs = counts.operations[name];
  if (costs === undefined) throw new Error(`no counts of ${name}: npm run capacity -- --measure`);
  return costs;
}

/** What `users` use in a month. Every alarm set is taken to fire, each as a request that removes a row: the upper bound. */
export function amountsOf(users: number, counts: Counts, sizes: Sizes, behaviour: Behaviour): Amounts {
  const total = Object.fromEntries(Object.keys(PRICES).map((item) => [item, 0])) as Amounts;
  let events = 0;
  let eventRowsWritten = 0;
  for (const [name, perUser] of Object.entries(operationsOf(behaviour))) {
    const times = perUser * users;
    const costs = costsOf(counts, name);
    const calls = costs.objects + costs.laterObjects + costs.alarms;
    total.requests += times;
    total.cpuMs +=
      times *
      (behaviour.requestCpuMs +
        costs.sign * behaviour.signCpuMs +
        costs.verify * behaviour.verifyCpuMs +
        costs.hash * behaviour.hashCpuMs);
    total.objectRequests += times * calls;
    total.objectGbSeconds += times * calls * (behaviour.objectMs / 1000) * OBJECT_GB;
    total.objectRowsRead += times * costs.objectRowsRead;
    total.objectRowsWritten += times * (costs.objectRowsWritten + costs.alarms);
    total.d1RowsRead += times * costs.d1RowsRead;
    total.d1RowsWritten += times * costs.d1RowsWritten;
    total.logLines += times * behaviour.logShare;
    events += times * costs.laterD1;
    eventRowsWritten += times * costs.d1RowsWritten;
  }
  const keptEvents = (events * behaviour.auditDays) / DAYS;
  // In the steady state every event written is one deleted.
  total.d1RowsWritten += eventRowsWritten;
  total.d1RowsRead += CRON_RUNS * costsOf(counts, "cron, idle").d1RowsRead;
  total.requests += CRON_RUNS;
  total.d1Gb = (users * sizes.userBytes + keptEvents * sizes.eventBytes) / GB;
  total.objectGb = (users * behaviour.sessionShare * counts.bytes.sessionsOfOneUser) / GB;
  return total;
}

/** Dollars per item, the base price apart. */
export function billOf(amounts: Amounts): Readonly<Record<Item, number>> {
  const entries = (Object.keys(PRICES) as Item[]).map((item) => [item, dollarsOf(item, amounts[item])] as const);
  return Object.fromEntries(entries) as Record<Item, number>;
}

export function totalOf(bill: Readonly<Record<Item, number>>): number {
  return Object.values(bill).reduce((sum, dollars) => sum + dollars, BASE_DOLLARS);
}
