/**
 * Sessions as the rest of Postern sees them: tokens in, plain answers out. The only file that knows that there is a
 * Durable Object behind, and the one that keeps the promise of revocation: it returns from ending a session only when no
 * other isolate can still hold a lease of it.
 */
import { toHex, utf8, uuidV7 } from "../kit/encoding.ts";
import { describe, log } from "../kit/log.ts";
import { count } from "../kit/meter.ts";
import { fail, ok, type Result } from "../kit/result.ts";
import type { Runtime } from "../kit/runtime.ts";
import { sha256 } from "../kit/secrets.ts";
import { withinTimeLimit } from "../kit/time-limit.ts";
import type { Leases } from "./leases.ts";
import type {
  AccountSnapshot,
  Holder,
  LeaseReply,
  OpenReply,
  RefreshReply,
  RevokeReply,
  SessionView,
  TimeLeft,
} from "./messages.ts";
import type { UserSessions } from "./object.ts";
import { FAMILY_SECRET_BYTES, type RefreshToken, type RefreshTokenCodec } from "./refresh-token.ts";
import type { Lifetimes } from "./rotation.ts";

const ISOLATE_ID_BYTES = 12;
const ATTEMPTS = 2;
/** An object answers in milliseconds; one that takes so long counts as away. */
const ANSWER_LIMIT_MS = 5_000;
const UNSENT_KEY_BYTES = 16;
/** Of a session without a refresh token: no digest is empty, so none can match it. */
const NO_SECRET_HASH = "";

/** A session that was opened or refreshed: what its tokens are made of. */
export interface IssuedSession {
  readonly userId: string;
  readonly sessionId: string;
  readonly role: string;
  readonly refreshToken: string;
  readonly refreshExpiresInSeconds: number;
  readonly accessExpiresInSeconds: number;
}

export interface RefreshedSession extends IssuedSession {
  readonly outcome: "rotated" | "replayed";
}

export interface Device {
  readonly userAgent: string;
  /** A prefix, never the full address. */
  readonly address: string;
}

export interface SessionRef {
  readonly userId: string;
  readonly sessionId: string;
}

/** An account as it was read for the session to be opened. */
export type OpenAccount = AccountSnapshot & { readonly id: string };

/** A session that has no refresh token. */
export interface VisitedSession {
  readonly sessionId: string;
  /** It ends when it is not used for so long. */
  readonly idleMs: number;
  /** It ends so long after it was opened. */
  readonly maxMs: number;
}

/** Every method may also fail with `dependency_unavailable`; then nothing has been promised, and a retry is safe. */
export interface Sessions {
  /**
   * Opens a session; null when the account has been changed since it was read.
   * @param from a session of the same user that this one takes over from. It stays live, and ends with this one; if it
   *   is live no more this fails with `invalid_session`
   */
  open(account: OpenAccount, device: Device, from?: string): Promise<Result<IssuedSession | null>>;
  /**
   * Opens a session without a refresh token, under an id the caller chose, which {@link visit} keeps alive; false when
   * the account has been changed since it was read. One that is there, live or not, stays as it is.
   * @param isAdopted another system logged the user in: what is known here of the account stands
   */
  openVisited(
    account: OpenAccount,
    device: Device,
    visited: VisitedSession,
    isAdopted?: boolean,
  ): Promise<Result<boolean>>;
  /**
   * As {@link authorise}, for such a session; a use keeps it alive. Null when the user has none of that id. Fails with
   * `invalid_session` when it was ended, `session_expired` when it was not used in time.
   */
  visit(userId: string, visited: VisitedSession): Promise<Result<{ readonly role: string } | null>>;
  /**
   * Rotates a refresh token. Fails with `invalid_refresh_token`, `refresh_token_expired`, `session_revoked`, and with
   * `refresh_token_reused` once the family is revoked everywhere.
   */
  refresh(refreshToken: string, idempotencyKey: string | null): Promise<Result<RefreshedSession>>;
  /** The session a refresh token belongs to, live or not; null when Postern never issued it. */
  identify(refreshToken: string): Promise<SessionRef | null>;
  /** The user's role now. Fails with `token_revoked` when the session has ended. No I/O while a lease lasts. */
  authorise(session: SessionRef): Promise<Result<{ readonly role: string }>>;
  /** Ends a session; false when the user has none of that id. When it returns, no isolate accepts its tokens. */
  end(session: SessionRef): Promise<Result<boolean>>;
  /** Ends all sessions of a user, except one if given, by the same promise. */
  endAll(userId: string, exceptSessionId?: string): Promise<Result<void>>;
  /** Makes a change of role or status count everywhere, by the same promise; `disabled` ends all sessions. */
  noteAccount(userId: string, account: AccountSnapshot): Promise<Result<void>>;
  list(userId: string): Promise<Result<readonly SessionView[]>>;
}

export interface SessionOptions {
  readonly lifetimes: Lifetimes;
  readonly leaseMs: number;
  readonly maxSessions: number;
}

type Stub = DurableObjectStub<UserSessions>;

function isRetryable(error: unknown): boolean {
  return (
    error instanceof Error &&
    "retryable" in error &&
    error.retryable === true &&
    !("overloaded" in error && error.overloaded === true)
  );
}

export function createSessions(
  namespace: DurableObjectNamespace<UserSessions>,
  codec: RefreshTokenCodec,
  leases: Leases,
  options: SessionOptions,
  runtime: Runtime,
): Sessions {
  const { lifetimes, leaseMs, maxSessions } = options;
  let holder: Holder | undefined;
  const asHolder = (): Holder => (holder ??= { isolate: toHex(runtime.randomBytes(ISOLATE_ID_BYTES)), leaseMs });

  /** Calls the user's object; once more, on a new stub, if the first was lost with its machine. Every call is idempotent. */
  async function ask<T>(userId: string, call: (stub: Stub) => Promise<T>): Promise<Result<T>> {
    for (let attempt = 1; ; attempt++) {
      try {
        count("objects");
        return ok(await withinTimeLimit(call(namespace.getByName(userId)), ANSWER_LIMIT_MS));
      } catch (error) {
        if (attempt < ATTEMPTS && isRetryable(error)) continue;
        log({ event: "dependency.failed", dependency: "sessions", error: describe(error) });
        return fail({ code: "dependency_unavailable", dependency: "sessions" });
      }
    }
  }

  /** Returns once no isolate believes any more what `end` has ended: others by waiting, this one by forgetting. */
  async function drained(userId: string, end: (stub: Stub) => Promise<RevokeReply>): Promise<Result<boolean>> {
    const reply = await ask(userId, end);
    if (reply.ok && reply.value.drainMs > 0) await runtime.sleep(reply.value.drainMs);
    leases.drop(userId);
    return reply.ok ? ok(reply.value.found) : reply;
  }

  async function issued(token: RefreshToken, role: string, left: TimeLeft): Promise<IssuedSession> {
    return {
      userId: token.userId,
      sessionId: token.sessionId,
      role,
      refreshToken: await codec.encode(token),
      refreshExpiresInSeconds: Math.floor(left.idleLeftMs / 1000),
      // No access token outlives its session; at the very end it gets one second rather than none.
      accessExpiresInSeconds: Math.max(1, Math.floor(Math.min(lifetimes.accessMs, left.maxLeftMs) / 1000)),
    };
  }

  const lifetimesOf = ({ idleMs, maxMs }: VisitedSession): Lifetimes => ({ idleMs, maxMs, raceMs: 0, accessMs: 0 });

  return {
    async open({ id: userId, role, status, revision }, { userAgent, address }, from) {
      const now = runtime.now();
      const sessionId = uuidV7(now, runtime.randomBytes(10));
      const familySecret = runtime.randomBytes(FAMILY_SECRET_BYTES);
      const secretHash = toHex(await sha256(familySecret));
      const account = { role, status, revision };
      const request = { sessionId, secretHash, account, lifetimes, maxSessions, userAgent, address };
      const reply = await ask<OpenReply>(userId, async (stub) =>
        stub.open(from === undefined ? request : { ...request, from }),
      );
      if (!reply.ok) return reply;
      if (reply.value.outcome === "stale") return ok(null);
      if (reply.value.outcome === "ended") return fail({ code: "invalid_session" });
      return ok(await issued({ userId, sessionId, familySecret, generation: 1 }, role, reply.value));
    },

    async openVisited({ id: userId, role, status, revision }, { userAgent, address }, visited, isAdopted = false) {
      const account = { role, status, revision };
      const { sessionId } = visited;
      const reply = await ask<OpenReply>(userId, async (stub) =>
        stub.open({
          sessionId,
          secretHash: NO_SECRET_HASH,
          account,
          lifetimes: lifetimesOf(visited),
          maxSessions,
          userAgent,
          address,
          isAdopted,
        }),
      );
      if (!reply.ok) return reply;
      // What was known may have been that there is no such session.
      leases.drop(userId);
      return ok(reply.value.outcome === "opened");
    },

    async visit(userId, visited) {
      const { sessionId } = visited;
      const reply = await leases.of(userId, sessionId, () =>
        ask<LeaseReply>(userId, async (stub) => stub.visit({ sessionId, lifetimes: lifetimesOf(visited) }, asHolder())),
      );
      if (!reply.ok) return reply;
      if (reply.value.live) return ok({ role: reply.value.role });
      if (reply.value.why === "unknown") return ok(null);
      return fail({ code: reply.value.why === "expired" ? "session_expired" : "invalid_session" });
    },

    async refresh(refreshToken, idempotencyKey) {
      const token = await codec.decode(refreshToken);
      if (token === null) return fail({ code: "invalid_refresh_token" });
      const { userId, sessionId, generation } = token;
      // Without a key from the client one that nobody knows: our own retry of a lost call must not look like a replay.
      const key = idempotencyKey === null ? runtime.randomBytes(UNSENT_KEY_BYTES) : utf8(idempotencyKey);
      const [secretHash, keyHash] = (await Promise.all([sha256(token.familySecret), sha256(key)])).map(toHex);
      if (secretHash === undefined || keyHash === undefined) throw new Error("two digests were asked for");
      const reply = await ask<RefreshReply>(userId, async (stub) =>
        stub.refresh({ sessionId, secretHash, generation, keyHash, lifetimes }, asHolder()),
      );
      if (!reply.ok) return reply;
      switch (reply.value.outcome) {
        case "mismatch":
          return fail({ code: "invalid_refresh_token" });
        case "expired":
          return fail({ code: "refresh_token_expired" });
        case "revoked":
          return fail({ code: "session_revoked" });
        case "reused": {
          const { drainMs } = reply.value;
          if (drainMs > 0) await runtime.sleep(drainMs);
          leases.drop(userId);
          return fail({ code: "refresh_token_reused" });
        }
        case "rotated":
        case "replayed": {
          const { outcome, role, generation: current } = reply.value;
          return ok({ outcome, ...(await issued({ ...token, generation: current }, role, reply.value)) });
        }
      }
    },

    async identify(refreshToken) {
      const token = await codec.decode(refreshToken);
      return token === null ? null : { userId: token.userId, sessionId: token.sessionId };
    },

    async authorise({ userId, sessionId }) {
      const reply = await leases.of(userId, sessionId, () =>
        ask<LeaseReply>(userId, async (stub) => stub.lease(sessionId, asHolder())),
      );
      if (!reply.ok) return reply;
      return reply.value.live ? ok({ role: reply.value.role }) : fail({ code: "token_revoked" });
    },

    end: ({ userId, sessionId }) => drained(userId, (stub) => stub.revoke(sessionId, asHolder())),

    async endAll(userId, exceptSessionId) {
      const ended = await drained(userId, (stub) => stub.revokeAll(asHolder(), exceptSessionId ?? null));
      return ended.ok ? ok(undefined) : ended;
    },

    async noteAccount(userId, account) {
      const noted = await drained(userId, (stub) => stub.noteAccount(account, asHolder()));
      return noted.ok ? ok(undefined) : noted;
    },

    list: (userId) => ask(userId, (stub) => stub.list()),
  };
}
