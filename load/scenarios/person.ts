// One person: logs in once, calls with pauses between, refreshes when the access token has expired.
import { sleep } from "k6";
import { call, login, me, refresh, type Tokens, tokensOf } from "./client.ts";

/** Clients refresh a little ahead of expiry. */
const EARLY_MS = 1000;
/** Nobody pauses longer than this many times the mean. */
const LONGEST_PAUSES = 6;

/** Who is refused tries again, but not at once. */
const RETRY_SECONDS = 5;

/** A k6 module is loaded once per virtual user, so these are one person's. */
let tokens: Tokens | null = null;
let refreshes = 0;

/** A pause with the given mean, exponentially distributed: how long it has lasted says nothing of when it ends. */
export function pauseSeconds(mean: number): number {
  return Math.min(-Math.log(1 - Math.random()), LONGEST_PAUSES) * mean;
}

/** A pause and a call, with a login or a refresh before it where one is due. */
export function live(thinkSeconds: number, phase: () => string): void {
  if (tokens === null) {
    tokens = login(me(), { tags: { phase: phase() } });
    if (tokens === null) {
      sleep(RETRY_SECONDS);
      return;
    }
  }
  sleep(pauseSeconds(thinkSeconds));
  const tags = { phase: phase() };
  if (Date.now() > tokens.expiresAt - EARLY_MS) {
    refreshes += 1;
    tokens = tokensOf(refresh(tokens.refresh, `${me()}-${refreshes}`, { tags }));
    if (tokens === null) {
      sleep(RETRY_SECONDS);
      return;
    }
  }
  call(tokens.access, { tags });
}
