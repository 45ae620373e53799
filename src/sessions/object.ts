/**
 * One Durable Object per user: all of that user's refresh-token families, a snapshot of role and status, and the memory
 * of which isolate may still believe what (leases). Load, call the rule, save: synchronous, so that no other request
 * gets in between. Nothing that matters lives in memory only; what does (leases) is bounded by what is stored.
 *
 * Only client.ts calls it. Messages carry the policy, so the object reads no configuration.
 */
import { DurableObject } from "cloudflare:workers";
import type {
  AccountSnapshot,
  Holder,
  LeaseReply,
  OpenReply,
  OpenSession,
  RefreshReply,
  RefreshSession,
  RevokeReply,
  SessionView,
  TimeLeft,
  VisitSession,
} from "./messages.ts";
import { type Family, forgettableAt, type Lifetimes, revoke, rotate, startFamily, visit } from "./rotation.ts";

/** Revoked families remembered beyond the living; the oldest are forgotten first. */
const REVOKED_KEPT = 200;
/** How long a change of the account is remembered when there is no session to remember it for: longer than any login. */
const SNAPSHOT_KEPT_MS = 5 * 60_000;
/** Stored at most this often: "leases may be out until then". A higher figure writes less and waits longer after eviction. */
const LEASE_HORIZON_MS = 30_000;

/** Session id, after this, to the id of the session it took over from. */
const PARENT = "parent ";

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS account (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    role TEXT NOT NULL, status TEXT NOT NULL, revision INTEGER NOT NULL, noted_at INTEGER NOT NULL,
    leased_until INTEGER NOT NULL DEFAULT 0, lease_ms INTEGER NOT NULL DEFAULT 0
  ) STRICT;
  CREATE TABLE IF NOT EXISTS family (
    session_id TEXT PRIMARY KEY,
    secret_hash TEXT NOT NULL, generation INTEGER NOT NULL, rotated_at INTEGER NOT NULL, key_hash TEXT,
    created_at INTEGER NOT NULL, last_used_at INTEGER NOT NULL,
    idle_expires_at INTEGER NOT NULL, expires_at INTEGER NOT NULL, revoked_at INTEGER,
    forgettable_at INTEGER NOT NULL, user_agent TEXT NOT NULL, address TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;`;

type AccountRow = {
  role: string;
  status: "active" | "disabled";
  revision: number;
  noted_at: number;
  leased_until: number;
  lease_ms: number;
};

type FamilyRow = {
  session_id: string;
  secret_hash: string;
  generation: number;
  rotated_at: number;
  key_hash: string | null;
  created_at: number;
  last_used_at: number;
  idle_expires_at: number;
  expires_at: number;
  revoked_at: number | null;
  user_agent: string;
  address: string;
};

function toFamily(row: FamilyRow): Family {
  return {
    secretHash: row.secret_hash,
    generation: row.generation,
    rotatedAt: row.rotated_at,
    keyHash: row.key_hash,
    createdAt: row.created_at,
    lastUsedAt: row.last_used_at,
    idleExpiresAt: row.idle_expires_at,
    expiresAt: row.expires_at,
    revokedAt: row.revoked_at,
  };
}

function timeLeft(family: Family, now: number): TimeLeft {
  return { idleLeftMs: family.idleExpiresAt - now, maxLeftMs: family.expiresAt - now };
}

export class UserSessions extends DurableObject<unknown> {
  readonly #sql = this.ctx.storage.sql;
  /** Session id to isolate to the time its lease ends. */
  readonly #leases = new Map<string, Map<string, number>>();
  /** Until then isolates may hold leases that a former life of this object granted, and that nobody remembers. */
  readonly #inheritedLeasesUntil: number;
  #hasSchema: boolean;

  constructor(ctx: DurableObjectState, env: unknown) {
    super(ctx, env);
    this.#hasSchema = this.#sql.exec("SELECT 1 FROM sqlite_master WHERE name = 'family'").toArray().length > 0;
    const bornAt = Date.now();
    const account = this.#account();
    this.#inheritedLeasesUntil = account === null ? 0 : Math.min(account.leased_until, bornAt + account.lease_ms);
  }

  /** Starts a session. The same call again gives the same answer. */
  open(request: OpenSession): OpenReply {
    const now = Date.now();
    const { sessionId, account, lifetimes, from } = request;
    this.#createSchema();
    if (!this.#note(account, now) && request.isAdopted !== true) return { outcome: "stale" };
    if (from !== undefined) {
      const parent = this.#family(from);
      if (parent === null || parent.revokedAt !== null || now >= parent.idleExpiresAt) return { outcome: "ended" };
      this.ctx.storage.kv.put(PARENT + sessionId, from);
    }
    let family = this.#family(sessionId);
    if (family === null) {
      family = startFamily(request.secretHash, lifetimes, now);
      this.#makeRoom(request.maxSessions, now);
      this.#insert(request, family);
      this.#keepParent(sessionId, family);
      this.#wakeForCleanup();
    }
    return { outcome: "opened", ...timeLeft(family, now) };
  }

  /** Rotates a refresh token (rotation.ts). A family that is not remembered has expired. */
  refresh(request: RefreshSession, holder: Holder): RefreshReply {
    const now = Date.now();
    const { sessionId, lifetimes } = request;
    const family = this.#family(sessionId);
    const account = this.#account();
    if (family === null || account === null) return { outcome: "expired" };
    const rotation = rotate(family, request, lifetimes, now);
    switch (rotation.outcome) {
      case "mismatch":
      case "revoked":
      case "expired":
        return { outcome: rotation.outcome };
      case "reused":
        this.#save(sessionId, rotation.family, lifetimes);
        return { outcome: "reused", drainMs: this.#drainMs([sessionId], holder, now) };
      case "rotated":
        this.#save(sessionId, rotation.family, lifetimes);
        this.#keepParent(sessionId, rotation.family);
        break;
      case "replayed":
        break;
    }
    const { outcome, family: next } = rotation;
    return { outcome, generation: next.generation, role: account.role, ...timeLeft(next, now) };
  }

  /** Whether a session is live, and a promise to count the asker among those who believe so until the lease ends. */
  lease(sessionId: string, holder: Holder): LeaseReply {
    const now = Date.now();
    const family = this.#family(sessionId);
    const account = this.#account();
    if (family === null || family.revokedAt !== null || account?.status !== "active") return { live: false };
    if (holder.leaseMs > 0) this.#grant(sessionId, holder, account, now);
    return { live: true, role: account.role };
  }

  /** As {@link lease}, for a session that has no refresh token and lives by being used. */
  visit({ sessionId, lifetimes }: VisitSession, holder: Holder): LeaseReply {
    const now = Date.now();
    const family = this.#family(sessionId);
    if (family === null) return { live: false, why: "unknown" };
    if (family.revokedAt === null && now >= family.idleExpiresAt) return { live: false, why: "expired" };
    const reply = this.lease(sessionId, holder);
    const visited = reply.live ? visit(family, lifetimes, now) : null;
    if (visited !== null) this.#save(sessionId, visited, lifetimes);
    return reply;
  }

  /** Ends one session, and the one it took over from. Ending it again finds it, and waits for the same leases. */
  revoke(sessionId: string, holder: Holder): RevokeReply {
    const now = Date.now();
    const family = this.#family(sessionId);
    if (family === null) return { found: false, drainMs: 0 };
    this.#markRevoked(sessionId, family, now);
    const parent = this.#parent(sessionId);
    if (parent !== null) this.#markRevoked(parent.sessionId, parent.family, now);
    const ids = parent === null ? [sessionId] : [sessionId, parent.sessionId];
    return { found: true, drainMs: this.#drainMs(ids, holder, now) };
  }

  /** Ends every session but `exceptSessionId`, if given. */
  revokeAll(holder: Holder, exceptSessionId: string | null): RevokeReply {
    const now = Date.now();
    const ended = this.#sessions().filter(({ session_id }) => session_id !== exceptSessionId);
    for (const row of ended) this.#markRevoked(row.session_id, toFamily(row), now);
    const ids = ended.map((row) => row.session_id);
    return { found: ids.length > 0, drainMs: this.#drainMs(ids, holder, now) };
  }

  /**
   * Notes a changed account: a role counts at once, `disabled` ends every session, and a login that read the account
   * before the change is refused.
   */
  noteAccount(account: AccountSnapshot, holder: Holder): RevokeReply {
    const now = Date.now();
    this.#createSchema();
    this.#note(account, now);
    this.#wakeForCleanup();
    if (this.#account()?.status === "disabled") return this.revokeAll(holder, null);
    const ids = this.#sessions().map((row) => row.session_id);
    return { found: ids.length > 0, drainMs: this.#drainMs(ids, holder, now) };
  }

  /** Live sessions, the one used last first. */
  list(): SessionView[] {
    const now = Date.now();
    return this.#sessions()
      .filter((row) => row.revoked_at === null && row.idle_expires_at > now)
      .toSorted((a, b) => b.last_used_at - a.last_used_at)
      .map((row) => ({
        id: row.session_id,
        createdAt: row.created_at,
        lastUsedAt: row.last_used_at,
        expiresAt: row.idle_expires_at,
        userAgent: row.user_agent,
        address: row.address,
      }));
  }

  /** Forgets what nobody can name any more, and everything once nothing is left. */
  override async alarm(): Promise<void> {
    if (!this.#hasSchema) return;
    this.#sql.exec("DELETE FROM family WHERE forgettable_at <= ?", Date.now());
    if (this.#nextCleanupAt() > Date.now()) {
      this.#wakeForCleanup();
      return;
    }
    this.#hasSchema = false;
    await this.ctx.storage.deleteAll();
  }

  #createSchema(): void {
    if (this.#hasSchema) return;
    this.#sql.exec(SCHEMA);
    this.#hasSchema = true;
  }

  #account(): AccountRow | null {
    if (!this.#hasSchema) return null;
    return this.#sql.exec<AccountRow>("SELECT * FROM account").toArray()[0] ?? null;
  }

  #sessions(): FamilyRow[] {
    return this.#hasSchema ? this.#sql.exec<FamilyRow>("SELECT * FROM family").toArray() : [];
  }

  #family(sessionId: string): Family | null {
    if (!this.#hasSchema) return null;
    const [row] = this.#sql.exec<FamilyRow>("SELECT * FROM family WHERE session_id = ?", sessionId).toArray();
    return row === undefined ? null : toFamily(row);
  }

  /** Keeps the newer of two readings of the account; false when the one given is the older. */
  #note({ role, status, revision }: AccountSnapshot, now: number): boolean {
    const known = this.#account();
    if (known !== null && known.revision > revision) return false;
    if (known === null || known.revision < revision) {
      this.#sql.exec(
        `INSERT INTO account (id, role, status, revision, noted_at) VALUES (1, ?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET role = excluded.role, status = excluded.status, revision = excluded.revision,
         noted_at = excluded.noted_at`,
        role,
        status,
        revision,
        now,
      );
    }
    return true;
  }

  #insert({ sessionId, lifetimes, userAgent, address }: OpenSession, family: Family): void {
    this.#sql.exec(
      "INSERT INTO family VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
      sessionId,
      family.secretHash,
      family.generation,
      family.rotatedAt,
      family.keyHash,
      family.createdAt,
      family.lastUsedAt,
      family.idleExpiresAt,
      family.expiresAt,
      family.revokedAt,
      forgettableAt(family, lifetimes),
      userAgent,
      address,
    );
  }

  #save(sessionId: string, family: Family, lifetimes: Lifetimes): void {
    this.#sql.exec(
      `UPDATE family SET generation = ?, rotated_at = ?, key_hash = ?, last_used_at = ?, idle_expires_at = ?,
       revoked_at = ?, forgettable_at = ? WHERE session_id = ?`,
      family.generation,
      family.rotatedAt,
      family.keyHash,
      family.lastUsedAt,
      family.idleExpiresAt,
      family.revokedAt,
      forgettableAt(family, lifetimes),
      sessionId,
    );
  }

  #markRevoked(sessionId: string, family: Family, now: number): void {
    if (family.revokedAt !== null) return;
    const { revokedAt } = revoke(family, now);
    this.#sql.exec("UPDATE family SET revoked_at = ? WHERE session_id = ?", revokedAt, sessionId);
  }

  /** The session that another took over from. */
  #parent(sessionId: string): { readonly sessionId: string; readonly family: Family } | null {
    const parentId = this.ctx.storage.kv.get<string>(PARENT + sessionId);
    const family = parentId === undefined ? null : this.#family(parentId);
    return parentId === undefined || family === null ? null : { sessionId: parentId, family };
  }

  /** Keeps a session that lies dormant as long as the one that took over is used, for whoever goes back to it. */
  #keepParent(sessionId: string, { idleExpiresAt }: Family): void {
    const parent = this.#parent(sessionId);
    if (parent === null) return;
    const until = Math.min(Math.max(parent.family.idleExpiresAt, idleExpiresAt), parent.family.expiresAt);
    const sql = "UPDATE family SET idle_expires_at = ?1, forgettable_at = ?1 WHERE session_id = ?2";
    this.#sql.exec(sql, until, parent.sessionId);
  }

  /** Ends the sessions idle longest until one more fits, and forgets the revoked ones beyond what is kept. */
  #makeRoom(maxSessions: number, now: number): void {
    const surplus = this.list().slice(maxSessions - 1);
    for (const { id } of surplus) {
      this.#sql.exec("UPDATE family SET revoked_at = ? WHERE session_id = ?", now, id);
    }
    this.#sql.exec(
      `DELETE FROM family WHERE session_id IN (
         SELECT session_id FROM family WHERE revoked_at IS NOT NULL ORDER BY revoked_at DESC LIMIT -1 OFFSET ?)`,
      REVOKED_KEPT,
    );
  }

  #grant(sessionId: string, { isolate, leaseMs }: Holder, account: AccountRow, now: number): void {
    const until = now + leaseMs;
    if (until > account.leased_until || leaseMs > account.lease_ms) {
      const horizon = Math.max(until + LEASE_HORIZON_MS, account.leased_until);
      this.#sql.exec("UPDATE account SET leased_until = ?, lease_ms = ?", horizon, Math.max(leaseMs, account.lease_ms));
    }
    const holders = this.#leases.get(sessionId) ?? new Map<string, number>();
    for (const [other, ends] of holders) if (ends <= now) holders.delete(other);
    holders.set(isolate, until);
    this.#leases.set(sessionId, holders);
  }

  /** How long isolates other than the asking one may still hold a lease of one of these sessions. */
  #drainMs(sessionIds: readonly string[], { isolate }: Holder, now: number): number {
    if (sessionIds.length === 0) return 0;
    let until = this.#inheritedLeasesUntil;
    for (const sessionId of sessionIds) {
      for (const [other, ends] of this.#leases.get(sessionId) ?? []) {
        if (other !== isolate) until = Math.max(until, ends);
      }
    }
    return Math.max(0, until - now);
  }

  /** When there will be something to forget; 0 when there is nothing left to keep. */
  #nextCleanupAt(): number {
    const [family] = this.#sql.exec<{ at: number | null }>("SELECT min(forgettable_at) AS at FROM family").toArray();
    if (typeof family?.at === "number") return family.at;
    return (this.#account()?.noted_at ?? 0) + SNAPSHOT_KEPT_MS;
  }

  #wakeForCleanup(): void {
    // Not awaited: the write goes out with the others of this call, and the answer waits for them all.
    void this.ctx.storage.setAlarm(this.#nextCleanupAt());
  }
}
