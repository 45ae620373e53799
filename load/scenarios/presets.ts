// The presets of `npm run load`: what each starts the server with, for how long it runs, and what must hold. Plain data,
// read by the runner in Node and by the scripts in k6, so it imports nothing of either.

export const PRESET_NAMES = [
  "smoke",
  "login",
  "refresh",
  "authorised",
  "mixed",
  "users-10k",
  "spike",
  "soak",
  "attack",
  "race",
] as const;
export type PresetName = (typeof PRESET_NAMES)[number];

export interface Preset {
  /** One line: what passing shows. */
  readonly proves: string;
  /** How many users take part: virtual users of k6, or users of the generator. */
  readonly users: number;
  /** How long the main part lasts, without logging in. */
  readonly seconds: number;
  /** Requests per second, where the script drives a rate. */
  readonly rate?: number;
  /** Mean of the pause between two calls of a user. */
  readonly thinkSeconds?: number;
  /** Variables of the Worker that differ from its defaults; never wider limits. */
  readonly variables: Readonly<Record<string, string>>;
  /** k6's thresholds by metric: all must hold. */
  readonly thresholds: Readonly<Record<string, readonly string[]>>;
}

/** The promise for 10,000 concurrent users. */
export const PROMISE = { meanMs: 45, p99Ms: 120, errors: 0, rssBytes: 500e6 } as const;

/** How fast memory may grow in a soak, by a straight line through the samples after the first quarter. */
export const SOAK_SLOPE_BYTES_PER_MINUTE = 2 ** 20;
/** A line through less than this says nothing about a slope. */
export const SOAK_JUDGED_FROM_SECONDS = 600;

const NO_ERRORS = { http_req_failed: ["rate==0"], checks: ["rate==1"], dropped_iterations: ["count==0"] } as const;

/** Tokens that expire within the run, so that it refreshes. */
const SHORT_TOKENS = { ACCESS_TOKEN_SECONDS: "20" } as const;

export const PRESETS: Readonly<Record<PresetName, Preset>> = {
  smoke: {
    proves: "every client endpoint answers as the contract says, once",
    users: 1,
    seconds: 10,
    variables: {},
    thresholds: NO_ERRORS,
  },
  login: {
    proves: "logins at a steady rate, each one Argon2id, from as many addresses",
    users: 200,
    seconds: 30,
    rate: 10,
    variables: {},
    thresholds: { ...NO_ERRORS, "http_req_duration{name:login}": ["p(99)<500"] },
  },
  refresh: {
    proves: "refreshes at a steady rate: a token chain per user, every answer a rotation",
    users: 50,
    seconds: 30,
    rate: 100,
    variables: {},
    thresholds: { ...NO_ERRORS, "http_req_duration{name:refresh}": ["p(99)<120"] },
  },
  authorised: {
    proves: "authorised calls through the gateway at a steady rate",
    users: 50,
    seconds: 30,
    rate: 500,
    variables: {},
    thresholds: { ...NO_ERRORS, "http_req_duration{name:call}": ["p(99)<120"] },
  },
  mixed: {
    proves: "people: log in once, call with pauses, refresh when the token expires",
    users: 100,
    seconds: 60,
    thinkSeconds: 2,
    variables: SHORT_TOKENS,
    thresholds: {
      ...NO_ERRORS,
      "http_req_duration{name:call}": ["avg<45", "p(99)<120"],
      "http_req_duration{name:refresh}": ["avg<45", "p(99)<120"],
    },
  },
  "users-10k": {
    proves: "10,000 people at once; the promise is judged when all are logged in",
    users: 10_000,
    seconds: 120,
    thinkSeconds: 10,
    variables: { ACCESS_TOKEN_SECONDS: "300" },
    thresholds: {
      ...NO_ERRORS,
      "http_req_duration{phase:steady}": [`avg<=${PROMISE.meanMs}`, `p(99)<=${PROMISE.p99Ms}`],
    },
  },
  spike: {
    proves: "ten times the load within a second loses no request, and what comes after is as fast as before",
    users: 50,
    seconds: 45,
    rate: 50,
    variables: {},
    thresholds: {
      http_req_failed: ["rate==0"],
      checks: ["rate==1"],
      "http_req_duration{scenario:after}": ["p(99)<120"],
    },
  },
  soak: {
    proves: "the same people for 20 minutes: no error, and memory stays flat",
    users: 50,
    seconds: 1200,
    thinkSeconds: 2,
    variables: { ACCESS_TOKEN_SECONDS: "60" },
    thresholds: NO_ERRORS,
  },
  attack: {
    proves: "a flood is refused with 429 and told when to return; nobody else is refused, nor the account's owner",
    users: 20,
    seconds: 30,
    rate: 200,
    variables: {},
    thresholds: {
      checks: ["rate==1"],
      "http_req_failed{victim:yes}": ["rate==0"],
      "http_req_duration{victim:yes}": ["p(95)<500"],
      flood_refused: ["rate>0.9"],
      // What RATE_LIMIT_ACCOUNT at its default lets through in an hour.
      guesses_hashed: ["count<=164"],
    },
  },
  race: {
    proves: "tabs that race get one successor, a lost response is given again, a stolen token is found out",
    users: 5,
    seconds: 20,
    // Shorter than the default, so stricter: what is forgiven after it is forgiven for its Idempotency-Key.
    variables: { REFRESH_RACE_SECONDS: "1" },
    thresholds: { checks: ["rate==1"], http_req_failed: ["rate==0"] },
  },
};

/** The preset of this name; throws with the names there are. */
export function presetNamed(name: string | undefined): PresetName {
  const found = PRESET_NAMES.find((candidate) => candidate === name);
  if (found === undefined) throw new Error(`a preset is one of ${PRESET_NAMES.join(", ")}`);
  return found;
}

const THRESHOLD = /^(avg|min|med|max|rate|count|value|p\(\d{1,2}(?:\.\d+)?\))\s*(<=|>=|==|!=|<|>)\s*(\d+(?:\.\d+)?)$/;

export interface Threshold {
  readonly aggregate: string;
  readonly operator: string;
  readonly bound: number;
}

/** A threshold expression of k6 as its parts; throws when it is none. */
export function parseThreshold(expression: string): Threshold {
  const [, aggregate, operator, bound] = THRESHOLD.exec(expression) ?? [];
  if (aggregate === undefined || operator === undefined) throw new Error(`not a threshold: ${expression}`);
  return { aggregate, operator, bound: Number(bound) };
}

/**
 * The `n`th client address: IPv4 and IPv6 in turn, no two in the same /32 or /48.
 * @param n below 2^25
 */
export function address(n: number): string {
  const i = n >> 1;
  if (n % 2 === 0) return `10.${(i >> 16) & 0xff}.${(i >> 8) & 0xff}.${i & 0xff}`;
  return `2001:${((i >> 16) & 0xffff).toString(16)}:${(i & 0xffff).toString(16)}::1`;
}
