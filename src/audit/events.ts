/**
 * The security events, as a closed union: what is not listed cannot be recorded, and no member has room for a secret.
 */

/** Why a login failed, for whoever reads the trail; the client is told less. */
export type LoginFault = "unknown_user" | "wrong_password" | "account_disabled" | "too_many_attempts";

/** An account before or after a change. */
export interface AccountFacts {
  readonly role: string;
  readonly status: string;
}

export type AuditEvent =
  | { readonly event: "login.succeeded" | "logout"; readonly userId: string; readonly sessionId: string }
  | { readonly event: "login.failed"; readonly userId: string | null; readonly reason: LoginFault }
  | { readonly event: "refresh.reused"; readonly userId: string; readonly sessionId: string }
  | { readonly event: "logout.all" | "password.changed" | "user.registered"; readonly userId: string }
  | { readonly event: "session.ended"; readonly userId: string; readonly sessionId: string; readonly actorId?: string }
  | { readonly event: "sessions.ended"; readonly userId: string; readonly actorId: string }
  | {
      readonly event: "user.created" | "user.deleted";
      readonly userId: string;
      readonly actorId: string;
      readonly username: string;
      readonly account: AccountFacts;
    }
  | {
      readonly event: "user.changed";
      readonly userId: string;
      readonly actorId: string;
      readonly before: AccountFacts;
      readonly after: AccountFacts;
      readonly passwordSet: boolean;
    }
  | { readonly event: "key.rotated"; readonly actorId: string; readonly kid: string; readonly compromised: boolean };

export type AuditEventName = AuditEvent["event"];

/** Where an event came from. */
export interface AuditSource {
  readonly requestId: string;
  /** A prefix, never the full address. */
  readonly address: string | null;
}
