// What happens to refresh tokens out there: tabs that refresh together, answers that get lost, tokens that are stolen. Each
// round is somebody else's session, from an address of its own.
import { check, sleep } from "k6";
import exec from "k6/execution";
import {
  addressOf,
  type Answer,
  askTogether,
  call,
  configured,
  fieldOf,
  login,
  me,
  optionsFor,
  refresh,
  type Tokens,
  tokensOf,
} from "./client.ts";

export { handleSummary } from "./summary.ts";

const { seconds, users } = configured("race");
const TABS = 5;
/** Longer than REFRESH_RACE_SECONDS as the preset sets it. */
const AFTER_RACE_SECONDS = 1.5;

export const options = optionsFor("race", {
  race: { executor: "constant-vus", vus: users, duration: `${seconds}s`, gracefulStop: "30s" },
});

const how = ({ headers }: Answer): string => headers["Postern-Refresh"] ?? "";

function tabs(tokens: Tokens, from: string): void {
  const one = { body: { refresh_token: tokens.refresh }, from };
  const answers = askTogether(
    "refresh (tabs)",
    "/auth/refresh",
    Array.from({ length: TABS }, () => one),
  );
  const successors = new Set(answers.map((answer) => fieldOf(answer, "refresh_token")));
  check(answers, {
    "tabs: all are answered": (all) => all.every(({ status }) => status === 200),
    "tabs: one successor": () => successors.size === 1 && !successors.has(""),
    "tabs: one rotation": (all) => all.filter((answer) => how(answer) === "rotated").length === 1,
    "tabs: the rest are replays": (all) => all.filter((answer) => how(answer) === "replayed").length === TABS - 1,
  });
  for (const answer of answers) call(fieldOf(answer, "access_token"), { from });
}

function lostResponse(tokens: Tokens, from: string): void {
  const lost = refresh(tokens.refresh, "the same key", { from });
  sleep(AFTER_RACE_SECONDS);
  const again = refresh(tokens.refresh, "the same key", { from });
  check(again, {
    "lost: given again": (answer) => how(answer) === "replayed",
    "lost: the same successor": (answer) => fieldOf(answer, "refresh_token") === fieldOf(lost, "refresh_token"),
  });
  const next = refresh(fieldOf(again, "refresh_token"), "the next key", { from });
  check(next, { "lost: the chain goes on": (answer) => how(answer) === "rotated" });
}

function theft(tokens: Tokens, from: string, thief: string): void {
  const stolen = tokensOf(refresh(tokens.refresh, "the thief's key", { from: thief }));
  sleep(AFTER_RACE_SECONDS);
  const victim = refresh(tokens.refresh, "the victim's key", { from, expect: [401] });
  check(victim, { "theft: found out": (answer) => fieldOf(answer, "code") === "refresh_token_reused" });
  if (stolen === null) return;
  call(stolen.access, { from: thief, expect: [401] });
  refresh(stolen.refresh, "the thief's next key", { from: thief, expect: [401] });
}

export default function round(): void {
  const step = 4 * exec.vu.iterationInScenario;
  const addresses = [1, 2, 3, 4].map((offset) => addressOf(me(), step + offset));
  const [first = "", second = "", third = "", thief = ""] = addresses;
  const sessions = [first, second, third].map((from) => login(me(), { from }));
  const [a, b, c] = sessions;
  if (a) tabs(a, first);
  if (b) lostResponse(b, second);
  if (c) theft(c, third, thief);
}
