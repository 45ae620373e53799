// A flood from one address, and guesses at one account from everywhere, while people work and the account's owner logs in.
// Limits are the defaults. Who is attacked has the tag `victim`.
import { check } from "k6";
import { Counter, Rate } from "k6/metrics";
import exec from "k6/execution";
import {
  addressOf,
  type Answer,
  ask,
  atRate,
  call,
  configured,
  everybodyIn,
  login,
  optionsFor,
  type Tokens,
} from "./client.ts";

export { handleSummary } from "./summary.ts";

const { rate, seconds, users } = configured("attack");
/** Whose password is guessed. */
const OWNER = users;
const GUESSES_PER_SECOND = 20;
/** Enough that the flood goes on while some of it waits. */
const FLOOD_CONNECTIONS = 200;
const OWNER_PERIOD_SECONDS = 5;
const VICTIM = { victim: "yes" } as const;
/** Addresses no user has. */
const ATTACKERS = 10_000;

const floodRefused = new Rate("flood_refused");
const guessesHashed = new Counter("guesses_hashed");

export const options = optionsFor("attack", {
  flood: { ...atRate(rate, seconds, FLOOD_CONNECTIONS), exec: "flood" },
  guesses: { ...atRate(GUESSES_PER_SECOND, seconds, 50), exec: "guess" },
  people: { ...atRate(2 * users, seconds, users), exec: "work" },
  owner: {
    executor: "constant-arrival-rate",
    rate: 1,
    timeUnit: `${OWNER_PERIOD_SECONDS}s`,
    duration: `${seconds}s`,
    preAllocatedVUs: 2,
    exec: "ownerLogsIn",
  },
});

/** Everybody is in, the owner too: so the owner's address is known to the account. */
export function setup(): Tokens[] {
  return everybodyIn(users + 1);
}

function told(answer: Answer): void {
  check(answer, {
    "a 429 says when to return": ({ headers }) => Number(headers["Retry-After"]) > 0,
    "a 429 names its limit": ({ headers }) => /^"[a-z-]+";q=\d+;w=\d+$/.test(headers["Ratelimit-Policy"] ?? ""),
    "a 429 says what is left": ({ headers }) => /^"[a-z-]+";r=0;t=\d+$/.test(headers["Ratelimit"] ?? ""),
  });
}

/** Whether it was refused unseen. */
function attempt(name: string, username: string, from: string): boolean {
  const body = { username, password: "a guess that is wrong" };
  const answer = ask(name, "POST", "/auth/login", { body, from, expect: [401, 429] });
  const isRefused = answer.status === 429;
  if (isRefused) told(answer);
  return isRefused;
}

export function flood(): void {
  floodRefused.add(attempt("flood", `nobody-${exec.scenario.iterationInTest}`, addressOf(ATTACKERS)));
}

export function guess(): void {
  const from = addressOf(ATTACKERS, 1 + exec.scenario.iterationInTest);
  if (!attempt("guess", `user-${OWNER}`, from)) guessesHashed.add(1);
}

export function work(everybody: Tokens[]): void {
  const user = exec.scenario.iterationInTest % users;
  call(everybody[user]?.access ?? "", { from: addressOf(user), tags: VICTIM });
}

export function ownerLogsIn(): void {
  login(OWNER, { tags: VICTIM });
}
