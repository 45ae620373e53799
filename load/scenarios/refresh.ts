// Refreshes at a steady rate: each virtual user carries one chain of tokens on. A person refreshes every quarter of an hour,
// far below the limit per address; here a few do it all the time, so each refresh comes from another address.
import { check } from "k6";
import exec from "k6/execution";
import {
  addressOf,
  atRate,
  configured,
  everybodyIn,
  me,
  optionsFor,
  refresh,
  type Tokens,
  tokensOf,
} from "./client.ts";

export { handleSummary } from "./summary.ts";

const { rate, seconds, users } = configured("refresh");

export const options = optionsFor("refresh", { refresh: atRate(rate, seconds, users) });

export const setup = (): Tokens[] => everybodyIn(users);

let current: Tokens | null = null;

export default function oneRefresh(everybody: Tokens[]): void {
  current ??= everybody[me() % users] ?? null;
  if (current === null) return;
  const step = 1 + exec.vu.iterationInScenario;
  const answer = refresh(current.refresh, `${me()}-${step}`, { from: addressOf(me(), step) });
  check(answer, { "a rotation": ({ headers }) => headers["Postern-Refresh"] === "rotated" });
  current = tokensOf(answer) ?? current;
}
