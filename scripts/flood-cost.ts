/**
 * What a flood of logins costs the operator: unit prices times what the code does per request. An estimate, not a bill:
 * it leaves out the monthly allowances of the plan, and takes the worst case, in which every guess is at a name never
 * tried before, so that none is refused by its account.
 *
 *   node scripts/flood-cost.ts [ADDRESSES] [REQUESTS_PER_ADDRESS_AND_MINUTE] [MINUTES]
 */

/** US dollars per unit, Workers Paid plan, November 2026 (developers.cloudflare.com: Workers, Durable Objects and D1 pricing). */
const PRICES = {
  workerRequest: 0.3e-6,
  cpuMs: 0.02e-6,
  objectRequest: 0.15e-6,
  objectGbSecond: 12.5e-6,
  objectRowRead: 0.001e-6,
  objectRowWritten: 1e-6,
  databaseRowRead: 0.001e-6,
} as const;

type Unit = keyof typeof PRICES;
type Use = { readonly [U in Unit]?: number };

/** RATE_LIMIT_LOGIN. */
const GUESSES_PER_ADDRESS_AND_MINUTE = 10;
/** Argon2id as measured in workerd (29 ms), and the rest of a request. */
const HASH_CPU_MS = 32;
const REFUSED_CPU_MS = 0.5;
/** An object is billed as 128 MB while it works, assumed 5 ms per call. */
const CALL_GB_SECONDS = 0.128 * 0.005;

/** A guess that is hashed: one call of its address's counter, one of its account's, one query. */
const GUESS: Use = {
  workerRequest: 1,
  cpuMs: HASH_CPU_MS,
  objectRequest: 2,
  objectGbSecond: 2 * CALL_GB_SECONDS,
  objectRowWritten: 2,
  databaseRowRead: 1,
};
/** An object that was not there before, over its life: read once, an alarm set, run, and everything deleted. */
const FRESH_OBJECT: Use = {
  objectRequest: 1,
  objectGbSecond: CALL_GB_SECONDS,
  objectRowRead: 2,
  objectRowWritten: 2,
};
/** An address that goes on: its counter's alarm comes once a window, and is set again. */
const ADDRESS_MINUTE: Use = { objectRequest: 1, objectGbSecond: CALL_GB_SECONDS, objectRowWritten: 1 };
/** The request by which an isolate learns of a denial; from then on it remembers. */
const LEARNED: Use = { workerRequest: 1, cpuMs: REFUSED_CPU_MS, objectRequest: 1, objectGbSecond: CALL_GB_SECONDS };
const REFUSED: Use = { workerRequest: 1, cpuMs: REFUSED_CPU_MS };

function cost(use: Use): number {
  return Object.entries(use).reduce((sum, [unit, amount]) => sum + PRICES[unit as Unit] * amount, 0);
}

const money = (dollars: number): string => `$${dollars.toLocaleString("en", { maximumFractionDigits: 2 })}`;
const perMillion = (dollars: number): string => `${money(dollars * 1e6)} a million`;

const [addresses = 1_000_000, perMinute = 60, minutes = 1] = process.argv.slice(2).map(Number);
if (![addresses, perMinute, minutes].every((value) => Number.isInteger(value) && value > 0)) {
  throw new Error("usage: node scripts/flood-cost.ts [ADDRESSES] [REQUESTS_PER_ADDRESS_AND_MINUTE] [MINUTES]");
}

const guessesEach = Math.min(perMinute, GUESSES_PER_ADDRESS_AND_MINUTE);
const learnedEach = perMinute > guessesEach ? 1 : 0;
const refusedEach = perMinute - guessesEach - learnedEach;
const addressMinutes = addresses * minutes;

const parts = {
  "guesses hashed": { count: guessesEach * addressMinutes, each: cost(GUESS) + cost(FRESH_OBJECT) },
  "counters of addresses": { count: addressMinutes, each: cost(ADDRESS_MINUTE) },
  "denials learned": { count: learnedEach * addressMinutes, each: cost(LEARNED) },
  "refused from memory": { count: refusedEach * addressMinutes, each: cost(REFUSED) },
};

console.log(`${addresses} addresses, ${perMinute} logins each per minute, ${minutes} min, every guess at another name`);
let total = addresses * cost(FRESH_OBJECT);
for (const [name, { count, each }] of Object.entries(parts)) {
  total += count * each;
  console.log(
    `${name.padEnd(22)} ${count.toLocaleString("en").padStart(15)}  ${perMillion(each).padEnd(18)}  ${money(count * each)}`,
  );
}
console.log(`in all ${money(total)}`);
