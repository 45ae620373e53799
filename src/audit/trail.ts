/**
 * The audit trail in D1. Recording never holds up or breaks the request it records: events are written in batches after
 * the answer, tried again when D1 says so, and dropped beyond a bound, which is logged with its count.
 */
import { onDatabase } from "../kit/database.ts";
import { uuidV7 } from "../kit/encoding.ts";
import { log } from "../kit/log.ts";
import { ok, type Result } from "../kit/result.ts";
import type { Runtime } from "../kit/runtime.ts";
import type { AuditEvent, AuditSource } from "./events.ts";

const QUEUE_LIMIT = 500;
const BATCH_SIZE = 50;
const DAY_MS = 86_400_000;

/** An event as it is read back; `at` is in milliseconds since 1970. */
export interface AuditRecord {
  readonly id: string;
  readonly at: number;
  readonly event: string;
  readonly userId: string | null;
  readonly actorId: string | null;
  readonly sessionId: string | null;
  readonly address: string | null;
  readonly requestId: string;
  readonly detail: unknown;
}

export interface AuditQuery {
  readonly userId: string | null;
  readonly event: string | null;
  /** Milliseconds since 1970. */
  readonly since: number | null;
  /** The id of the last record of the page before. */
  readonly cursor: string | null;
  readonly limit: number;
}

export interface AuditTrail {
  /** Queues an event; returns at once. */
  record(event: AuditEvent, source: AuditSource): void;
  /** Records, newest first, and the cursor of the next page. */
  read(query: AuditQuery): Promise<Result<{ readonly records: readonly AuditRecord[]; readonly next: string | null }>>;
  /** Deletes what is older than the retention. */
  prune(): Promise<Result<void>>;
}

interface AuditRow {
  id: string;
  at: number;
  event: string;
  user_id: string | null;
  actor_id: string | null;
  session_id: string | null;
  address: string | null;
  request_id: string;
  detail: string;
}

interface Queued {
  readonly id: string;
  readonly at: number;
  readonly event: AuditEvent;
  readonly source: AuditSource;
}

export function createAuditTrail(database: D1Database, retentionDays: number, runtime: Runtime): AuditTrail {
  let queue: Queued[] = [];
  let dropped = 0;
  let isWriting = false;

  const insert = ({ id, at, event, source }: Queued): D1PreparedStatement => {
    const { event: name, userId, actorId, sessionId, ...detail }: Record<string, unknown> = { ...event };
    const ids = [userId ?? null, actorId ?? null, sessionId ?? null];
    // A batch that is sent again after its answer was lost finds its rows there already.
    return database
      .prepare("INSERT INTO audit_events VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT DO NOTHING")
      .bind(id, at, name, ...ids, source.address, source.requestId, JSON.stringify(detail));
  };

  const write = async (): Promise<void> => {
    while (queue.length > 0) {
      const batch = queue.slice(0, BATCH_SIZE);
      queue = queue.slice(BATCH_SIZE);
      const written = await onDatabase(runtime, () => database.batch(batch.map(insert)));
      if (!written.ok) dropped += batch.length;
    }
    if (dropped > 0) log({ event: "audit.dropped", count: dropped });
    dropped = 0;
    isWriting = false;
  };

  return {
    record(event, source) {
      if (queue.length >= QUEUE_LIMIT) {
        dropped += 1;
        return;
      }
      const at = runtime.now();
      queue.push({ id: uuidV7(at, runtime.randomBytes(10)), at, event, source });
      if (isWriting) return;
      isWriting = true;
      // Not before the current request has run on: events of one moment go out as one batch.
      runtime.waitUntil(runtime.sleep(0).then(write));
    },

    async read({ userId, event, since, cursor, limit }) {
      const rows = await onDatabase(runtime, () =>
        database
          .withSession("first-unconstrained")
          .prepare(
            `SELECT * FROM audit_events
             WHERE (?1 IS NULL OR user_id = ?1) AND (?2 IS NULL OR event = ?2)
               AND (?3 IS NULL OR at >= ?3) AND (?4 IS NULL OR id < ?4)
             ORDER BY id DESC LIMIT ?5`,
          )
          .bind(userId, event, since, cursor, limit + 1)
          .all<AuditRow>(),
      );
      if (!rows.ok) return rows;
      const page = rows.value.results.slice(0, limit);
      const records = page.map((row) => ({
        id: row.id,
        at: row.at,
        event: row.event,
        userId: row.user_id,
        actorId: row.actor_id,
        sessionId: row.session_id,
        address: row.address,
        requestId: row.request_id,
        detail: JSON.parse(row.detail) as unknown,
      }));
      return ok({ records, next: rows.value.results.length > limit ? (page.at(-1)?.id ?? null) : null });
    },

    async prune() {
      // Ids begin with their time: the primary key finds the old ones, where a search by time would read the whole trail.
      const before = uuidV7(runtime.now() - retentionDays * DAY_MS, new Uint8Array(10));
      const pruned = await onDatabase(runtime, () =>
        database.prepare("DELETE FROM audit_events WHERE id < ?1").bind(before).run(),
      );
      return pruned.ok ? ok(undefined) : pruned;
    },
  };
}
