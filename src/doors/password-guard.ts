/**
 * The one way a door may check a password: the guess is counted before it is hashed, against its address, its account
 * and both together, whatever endpoint it comes by, and refunded if it was right. Names that do not exist count alike.
 */
import type { Account, Accounts, Credentials } from "../accounts/accounts.ts";
import type { LoginFault } from "../audit/events.ts";
import { usernameKey } from "../accounts/username.ts";
import type { Limit } from "../kit/config.ts";
import type { Result } from "../kit/result.ts";
import { addressPrefix } from "../limits/address.ts";
import { type Attempt, type Limits, tighter } from "../limits/client.ts";
import type { RequestContext } from "./endpoint.ts";
import type { Recorder } from "./record.ts";

/** A guess by somebody who is not logged in. */
export interface Guess {
  readonly username: string;
  readonly password: string;
}

export interface PasswordGuard {
  /**
   * Reads the account and checks the password, counted against the endpoint's limit too. Fails with `rate_limited`,
   * `too_many_attempts`, `invalid_credentials`, `account_disabled`.
   */
  login(c: RequestContext, name: string, limit: Limit, guess: Guess): Promise<Result<Account>>;
  /** Checks the password of an account that has been read. The endpoint's limit is the caller's business. */
  confirm(c: RequestContext, found: Credentials, password: string): Promise<Result<Account>>;
}

/** The address by which a request is counted. */
export function addressOf(c: RequestContext): string {
  return addressPrefix(c.req.header("CF-Connecting-IP") ?? null);
}

/** Why a check failed, for the audit trail; null when it did not, or for a reason that is not the guesser's. */
function faultOf(account: Result<Account>, found: Credentials | null): LoginFault | null {
  if (account.ok) return null;
  if (account.failure.code === "account_disabled") return "account_disabled";
  if (account.failure.code !== "invalid_credentials") return null;
  return found === null ? "unknown_user" : "wrong_password";
}

export function createPasswordGuard(accounts: Accounts, limits: Limits, record: Recorder): PasswordGuard {
  /** Passes a refusal on, so that the response shows the limit that refused. */
  const refuse = <T extends Result<unknown>>(c: RequestContext, refused: T): T => {
    if (!refused.ok && "limit" in refused.failure) c.set("limit", refused.failure.limit);
    return refused;
  };

  const check = async (
    c: RequestContext,
    attempt: Attempt,
    found: Credentials | null,
    password: string,
  ): Promise<Result<Account>> => {
    const account = await accounts.authenticate(found, password);
    if (account.ok || account.failure.code === "account_disabled") attempt.succeeded();
    else if (account.failure.code !== "invalid_credentials") attempt.withdraw();
    else c.set("limit", c.var.limit === undefined ? attempt.limit : tighter(c.var.limit, attempt.limit));
    if (found !== null) c.set("userId", found.account.id);
    const fault = faultOf(account, found);
    if (fault !== null) record(c, { event: "login.failed", userId: found?.account.id ?? null, reason: fault });
    return account;
  };

  return {
    async login(c, name, limit, { username, password }) {
      const address = addressOf(c);
      const account = usernameKey(username);
      const refused = await limits.refusal(name, limit, account, address);
      if (refused !== null) return refuse(c, refused);

      const [room, attempt, found] = await Promise.all([
        limits.takeWide(name, limit, address),
        limits.attempt(account, address),
        accounts.lookup(username),
      ]);
      if (room.ok) c.set("limit", room.value);
      if (attempt.ok && !(room.ok && found.ok)) attempt.value.withdraw();
      if (!room.ok) return refuse(c, room);
      if (!attempt.ok) {
        const userId = found.ok ? (found.value?.account.id ?? null) : null;
        if (attempt.failure.code === "too_many_attempts") {
          record(c, { event: "login.failed", userId, reason: "too_many_attempts" });
        }
        return refuse(c, attempt);
      }
      return found.ok ? check(c, attempt.value, found.value, password) : found;
    },

    async confirm(c, found, password) {
      const attempt = await limits.attempt(usernameKey(found.account.username), addressOf(c));
      return attempt.ok ? check(c, attempt.value, found, password) : refuse(c, attempt);
    },
  };
}
