// What holds of every answer, whatever was asked: how a refusal must look, and what it must not hold. Shared by the
// hostile suites; faults come back as text, so that a suite of thousands of cases shows all that is wrong in one list.
import { afterAll, beforeAll, expect } from "vitest";
import { PROBLEMS } from "../../src/kit/problem.ts";
import type { Problem } from "../support.ts";

/** Every property runs from this seed; fast-check names seed and path of what it finds. */
export const SEED = 20_261_124;

const GENERAL: readonly (readonly [name: string, value: RegExp])[] = [
  ["X-Request-Id", /^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/],
  ["Strict-Transport-Security", /^max-age=\d{8,}/],
  ["X-Content-Type-Options", /^nosniff$/],
  ["Referrer-Policy", /^no-referrer$/],
];

function problemFaults(problem: Partial<Problem>, status: number): string[] {
  const { code = "" } = problem;
  if (!Object.hasOwn(PROBLEMS, code)) return [`code ${code} is not in the contract`];
  const kind = PROBLEMS[code as keyof typeof PROBLEMS];
  const faults = [];
  if (kind.status !== status || problem.status !== status) faults.push(`status ${status} for ${code}`);
  if (problem.title !== kind.title) faults.push(`title of ${code}`);
  if (problem.type?.endsWith(`/problems/${code}`) !== true) faults.push(`type ${problem.type}`);
  return faults;
}

/** What is wrong with an answer of Postern's own, a refusal or not. `secrets`: what it must not hold. */
export async function faultsOf(response: Response, secrets: readonly string[] = []): Promise<string[]> {
  const faults = GENERAL.filter(([name, value]) => !value.test(response.headers.get(name) ?? "")).map(
    ([name]) => `header ${name}: ${response.headers.get(name)}`,
  );
  const text = await response.text();
  const all = `${text}\n${[...response.headers].join("\n")}`;
  for (const secret of secrets) if (secret.length >= 8 && all.includes(secret)) faults.push("a secret is shown");
  if (response.status < 400) return faults;
  if (response.status >= 500 && response.status !== 503) faults.push(`status ${response.status}`);
  if (response.headers.get("Cache-Control") !== "no-store") faults.push("a refusal may be cached");
  if (response.status === 401 && !response.headers.has("WWW-Authenticate")) faults.push("401 without a challenge");
  if (response.headers.get("Content-Type") !== "application/problem+json; charset=utf-8") {
    faults.push(`media type ${response.headers.get("Content-Type")}`);
    return faults;
  }
  if (text === "") return faults;
  const problem = JSON.parse(text) as Problem;
  if (problem.request_id !== response.headers.get("X-Request-Id")) faults.push("another request id");
  return [...faults, ...problemFaults(problem, response.status)];
}

/** The code of a refusal, or what its status is when it is none. */
export async function codeOf(response: Response): Promise<string> {
  return response.status < 400 ? `status ${response.status}` : (await response.clone().json<Problem>()).code;
}

/** Fails the file when a promise is rejected and nobody takes notice. */
export function refuseUnhandledRejections(): void {
  const unhandled: string[] = [];
  const note = (event: Event): void => {
    unhandled.push(String((event as PromiseRejectionEvent).reason));
  };
  beforeAll(() => addEventListener("unhandledrejection", note));
  afterAll(() => {
    removeEventListener("unhandledrejection", note);
    expect(unhandled).toEqual([]);
  });
}
