// What the scripts share: Postern's client in k6, with a name per operation for the thresholds, and the parameters that
// the runner hands in as environment. Requests fail for k6 when their status is not the one expected.
import http, { type RefinedResponse } from "k6/http";
import { check } from "k6";
import exec from "k6/execution";
import type { Options, Scenario } from "k6/options";
import { address, PRESETS, type Preset, type PresetName } from "./presets.ts";

export type Answer = RefinedResponse<"text">;

export interface Tokens {
  readonly access: string;
  readonly refresh: string;
  /** When the access token expires, milliseconds since 1970. */
  readonly expiresAt: number;
}

const BASE = __ENV["BASE_URL"] ?? "http://127.0.0.1:8787";
const PASSWORD = __ENV["PASSWORD"] ?? "";
/** Addresses of the steps of one user lie this far apart, more than there are users. */
const ADDRESS_STRIDE = 20_000;

function parameter(name: string, fallback: number): number {
  const given = __ENV[name];
  return given === undefined ? fallback : Number(given);
}

/** The preset as the runner has changed it. */
export function configured(name: PresetName): Preset & { rate: number; thinkSeconds: number } {
  const preset = PRESETS[name];
  return {
    ...preset,
    users: parameter("USERS", preset.users),
    seconds: parameter("SECONDS", preset.seconds),
    rate: parameter("RATE", preset.rate ?? 1),
    thinkSeconds: parameter("THINK_SECONDS", preset.thinkSeconds ?? 1),
  };
}

/** Options of a script: its scenarios, the preset's thresholds, nothing that leaves this machine. */
export function optionsFor(name: PresetName, scenarios: Record<string, Scenario>): Options {
  const thresholds = Object.entries(PRESETS[name].thresholds).map(([metric, list]) => [metric, [...list]]);
  return {
    scenarios,
    thresholds: Object.fromEntries(thresholds) as Record<string, string[]>,
    setupTimeout: "300s",
    summaryTrendStats: ["avg", "min", "med", "p(90)", "p(95)", "p(99)", "p(99.9)", "max"],
    systemTags: ["name", "status", "scenario", "expected_response"],
  };
}

/** Requests at a fixed rate, whether or not earlier ones have been answered. */
export function atRate(rate: number, seconds: number, users: number, startSeconds = 0): Scenario {
  return {
    executor: "constant-arrival-rate",
    rate,
    timeUnit: "1s",
    duration: `${seconds}s`,
    startTime: `${startSeconds}s`,
    preAllocatedVUs: users,
    maxVUs: users,
  };
}

/** This virtual user's number, from 0. */
export function me(): number {
  return exec.vu.idInTest - 1;
}

/** The address of a user; with `step` another one each time, as of somebody on the move. */
export function addressOf(user: number, step = 0): string {
  return address(step * ADDRESS_STRIDE + user);
}

export interface Ask {
  readonly body?: Record<string, string>;
  readonly bearer?: string;
  readonly key?: string;
  readonly from?: string;
  /** Statuses that are right here; default 200. */
  readonly expect?: readonly number[];
  readonly tags?: Record<string, string>;
}

function headersOf({ body, bearer, key, from }: Ask): Record<string, string> {
  return {
    "CF-Connecting-IP": from ?? addressOf(me()),
    ...(body !== undefined && { "Content-Type": "application/json" }),
    ...(bearer !== undefined && { Authorization: `Bearer ${bearer}` }),
    ...(key !== undefined && { "Idempotency-Key": key }),
  };
}

function paramsOf(name: string, request: Ask) {
  return {
    headers: headersOf(request),
    tags: { name, ...request.tags },
    responseCallback: http.expectedStatuses(...(request.expect ?? [200])),
    responseType: "text" as const,
  };
}

/** One request, and a check that its status is the expected one. `name` is what it is counted under. */
export function ask(name: string, method: "GET" | "POST" | "DELETE", path: string, request: Ask = {}): Answer {
  const body = request.body === undefined ? null : JSON.stringify(request.body);
  const answer = http.request(method, `${BASE}${path}`, body, paramsOf(name, request));
  const expected = request.expect ?? [200];
  check(answer, { [`${name}: ${expected.join(" or ")}`]: ({ status }) => expected.includes(status) });
  return answer;
}

/** Several refreshes of one token at the same moment, on connections of their own. */
export function askTogether(name: string, path: string, requests: readonly Ask[]): Answer[] {
  const batch = requests.map((request) => ({
    method: "POST",
    url: `${BASE}${path}`,
    body: JSON.stringify(request.body),
    params: paramsOf(name, request),
  }));
  return http.batch(batch);
}

/** A field of a JSON answer; "" if it has none. */
export function fieldOf(answer: Answer, name: string): string {
  const value = answer.status === 0 || answer.body === "" ? undefined : answer.json(name);
  return typeof value === "string" ? value : "";
}

/** The tokens of an answer; null if it is a refusal. */
export function tokensOf(answer: Answer): Tokens | null {
  if (answer.status !== 200) return null;
  const seconds = Number(answer.json("expires_in"));
  return {
    access: fieldOf(answer, "access_token"),
    refresh: fieldOf(answer, "refresh_token"),
    expiresAt: Date.now() + seconds * 1000,
  };
}

export function login(user: number, request: Ask = {}): Tokens | null {
  const body = { username: `user-${user}`, password: PASSWORD };
  return tokensOf(ask("login", "POST", "/auth/login", { body, from: addressOf(user), ...request }));
}

/** A refresh by a client that would send its key again if it got no answer. */
export function refresh(token: string, key: string, request: Ask = {}): Answer {
  return ask("refresh", "POST", "/auth/refresh", { body: { refresh_token: token }, key, ...request });
}

export function call(bearer: string, request: Ask = {}): Answer {
  return ask("call", "GET", "/api/items?page=2", { bearer, ...request });
}

/** Tokens of users 0 up to `users`, for the scripts that start with people logged in. */
export function everybodyIn(users: number): Tokens[] {
  return Array.from({ length: users }, (_, user) => {
    const tokens = login(user, { tags: { phase: "setup" } });
    if (tokens === null) throw new Error(`user ${user} cannot log in`);
    return tokens;
  });
}
