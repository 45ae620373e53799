/**
 * Logging in by name and password, whatever the login is then worth: the guarded password check, and starting over when
 * the account was changed while the login was under way.
 */
import type { Account, Accounts } from "../accounts/accounts.ts";
import type { Config } from "../kit/config.ts";
import { fail, ok, type Result } from "../kit/result.ts";
import type { RequestContext } from "./endpoint.ts";
import type { Guess, PasswordGuard } from "./password-guard.ts";

const LOGIN_ATTEMPTS = 3;

/**
 * Checks the password and returns what `open` makes of the account; null from `open` says that the account was changed
 * since it was read. Fails as {@link PasswordGuard.login} and `open` do.
 */
export type PasswordLogin = <T>(
  c: RequestContext,
  guess: Guess,
  open: (account: Account) => Promise<Result<T | null>>,
) => Promise<Result<T>>;

export function createPasswordLogin(config: Config, accounts: Accounts, passwords: PasswordGuard): PasswordLogin {
  return async (c, guess, open) => {
    let account = await passwords.login(c, "login", config.limits.login, guess);
    for (let attempt = 1; attempt <= LOGIN_ATTEMPTS; attempt++) {
      if (!account.ok) return account;
      const opened = await open(account.value);
      if (!opened.ok) return opened;
      if (opened.value !== null) return ok(opened.value);
      // The password was right a moment ago: looking again is part of that guess.
      const found = await accounts.lookup(guess.username);
      if (!found.ok) return found;
      account = await accounts.authenticate(found.value, guess.password);
    }
    return fail({ code: "dependency_unavailable", dependency: "sessions" });
  };
}
