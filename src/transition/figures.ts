/**
 * Counting by which credential clients log in and call. On the way of a request this is an addition in memory; a few
 * seconds after the first one the isolate adds its sums to D1, once for all of them.
 *
 * How exact: every accepted login, exchange and request is counted once, except for what an isolate had not written yet
 * when it was killed (the last `flushMs` of its life) or D1 refused. A refused write is not repeated: too low is safer to
 * decide by than twice.
 */
import { BoundedMap } from "../kit/bounded-map.ts";
import type { Runtime } from "../kit/runtime.ts";
import { clientFamily } from "./clients.ts";

export type Credential = "jwt" | "session";
export type FigureEvent = "login" | "exchange" | "request";

/** A sum to add: day, client family, credential, event, count. */
export type Sum = readonly [day: string, client: string, credential: Credential, event: FigureEvent, count: number];

/** Clients beyond so many in one batch count as `other`: the table must not grow with what clients call themselves. */
const CLIENTS_PER_BATCH = 50;
const REMEMBERED_CLIENTS = 1_000;
const REMEMBERED_SESSIONS = 10_000;
const DAY_MS = 86_400_000;
/** How much later than the last use a session's row may say that it was seen. */
const SEEN_EVERY_MS = 3_600_000;

export interface Figures {
  count(event: FigureEvent, credential: Credential, userAgent: string | undefined): void;
  /** Notes that a session was used. */
  seen(sessionId: string): void;
}

/** @param write adds sums, and sets when sessions were last seen */
export function createFigures(
  write: (sums: readonly Sum[], seen: readonly string[], now: number) => Promise<unknown>,
  flushMs: number,
  runtime: Runtime,
): Figures {
  const families = new BoundedMap<string, string>(REMEMBERED_CLIENTS);
  const lastSeen = new BoundedMap<string, number>(REMEMBERED_SESSIONS);
  let sums = new Map<string, [day: number, client: string, Credential, FigureEvent, count: number]>();
  let clients = new Set<string>();
  let seen = new Set<string>();
  let isScheduled = false;

  const flush = async (): Promise<void> => {
    await runtime.sleep(flushMs);
    const rows = Array.from(sums.values(), ([day, ...rest]): Sum => {
      return [new Date(day * DAY_MS).toISOString().slice(0, 10), ...rest];
    });
    const sessions = [...seen];
    sums = new Map();
    clients = new Set();
    seen = new Set();
    isScheduled = false;
    await write(rows, sessions, runtime.now());
  };

  const schedule = (): void => {
    if (isScheduled) return;
    isScheduled = true;
    runtime.waitUntil(flush());
  };

  const familyOf = (userAgent: string): string => {
    let family = families.get(userAgent);
    if (family === undefined) families.set(userAgent, (family = clientFamily(userAgent)));
    if (clients.size >= CLIENTS_PER_BATCH && !clients.has(family)) return "other";
    clients.add(family);
    return family;
  };

  return {
    count(event, credential, userAgent) {
      const day = Math.floor(runtime.now() / DAY_MS);
      const client = familyOf(userAgent ?? "");
      const key = `${day} ${client} ${credential} ${event}`;
      const sum = sums.get(key);
      if (sum === undefined) sums.set(key, [day, client, credential, event, 1]);
      else sum[4] += 1;
      schedule();
    },
    seen(sessionId) {
      const now = runtime.now();
      if (now - (lastSeen.get(sessionId) ?? 0) < SEEN_EVERY_MS) return;
      lastSeen.set(sessionId, now);
      seen.add(sessionId);
      schedule();
    },
  };
}
