/**
 * What this isolate may believe about sessions without asking: leases. The first request of a session asks its object;
 * until the lease ends the answer comes from memory. Revocation is exact all the same, since the object counts the
 * leases it gave and whoever revokes waits for the last one (client.ts).
 *
 * A lease counts from before the asking, less a margin, so that here it always ends before the object thinks it does.
 */
import { BoundedMap } from "../kit/bounded-map.ts";
import type { Result } from "../kit/result.ts";
import type { Runtime } from "../kit/runtime.ts";
import { share, type Shared } from "../kit/shared.ts";
import type { LeaseReply } from "./messages.ts";

/** Covers a clock that stands still while a request computes. */
const MARGIN_MS = 250;
const REMEMBERED_USERS = 20_000;

type Answer = Result<LeaseReply>;

interface Lease {
  until: number;
  readonly answer: Shared<Answer>;
}

export interface Leases {
  /** What is known of a session; if nothing is, the result of `ask`, which requests that arrive meanwhile share. */
  of(userId: string, sessionId: string, ask: () => Promise<Answer>): Promise<Answer> | Answer;
  /**
   * Forgets what is known of a user, and what is being asked right now: an answer given before this call is not
   * believed by anyone who comes after it.
   */
  drop(userId: string): void;
}

/** @param leaseMs 0 asks every time, and so does anything that the margin eats up */
export function createLeases(leaseMs: number, runtime: Runtime): Leases {
  const users = new BoundedMap<string, Map<string, Lease>>(REMEMBERED_USERS);

  const request = async (userId: string, sessionId: string, ask: () => Promise<Answer>): Promise<Answer> => {
    const until = runtime.now() + leaseMs - MARGIN_MS;
    const asked = ask();
    const lease: Lease = { until, answer: share(asked, runtime) };
    const sessions = users.get(userId) ?? new Map<string, Lease>();
    sessions.set(sessionId, lease);
    users.set(userId, sessions);
    const answer = await asked;
    if (!answer.ok) sessions.delete(sessionId);
    // A session that has ended does not come back: no need to ask again.
    else if (!answer.value.live) lease.until = Number.POSITIVE_INFINITY;
    return answer;
  };

  const join = async (lease: Lease, askAnew: () => Promise<Answer>): Promise<Answer> =>
    (await lease.answer.wait()) ?? askAnew();

  return {
    of(userId, sessionId, ask) {
      const askAnew = (): Promise<Answer> => request(userId, sessionId, ask);
      const lease = users.get(userId)?.get(sessionId);
      if (lease === undefined || runtime.now() >= lease.until) return askAnew();
      return lease.answer.result ?? join(lease, askAnew);
    },
    drop: (userId) => users.delete(userId),
  };
}
