/**
 * Pieces of bodies that more than one door reads or writes: names and passwords in, sessions out.
 */
import * as z from "zod/mini";
import { checkPassword } from "../accounts/password-policy.ts";
import { isUsername, USERNAME_MAX_CHARACTERS } from "../accounts/username.ts";
import type { Config } from "../kit/config.ts";
import { utf8 } from "../kit/encoding.ts";
import { fail, ok, type Result } from "../kit/result.ts";
import type { SessionView } from "../sessions/messages.ts";

const PASSWORD_MAX_BYTES = 1024;

/** A password as it is typed; whether it is strong enough to be set is {@link newPassword}. */
export const passwordText = z.string({ error: "must be a string" }).check(
  z.minLength(1, { error: "must not be empty" }),
  z.refine((text) => text.isWellFormed() && utf8(text).byteLength <= PASSWORD_MAX_BYTES, {
    error: `must be valid Unicode of at most ${PASSWORD_MAX_BYTES} bytes`,
  }),
);

export const usernameText = z
  .string({ error: "must be a string" })
  .check(z.refine(isUsername, { error: `must be 1 to ${USERNAME_MAX_CHARACTERS} visible characters` }));

/** Whether a password may be set. Fails with `weak_password`, which says why. */
export function newPassword(password: string, username: string, config: Config): Result<void> {
  const reason = checkPassword(password, {
    minLength: config.passwordMinLength,
    username,
    issuerHost: new URL(config.issuer).hostname,
  });
  return reason === null ? ok(undefined) : fail({ code: "weak_password", reason });
}

/** A session as its user, or an admin, is shown it. */
export function sessionJson(session: SessionView) {
  return {
    id: session.id,
    created_at: new Date(session.createdAt).toISOString(),
    last_used_at: new Date(session.lastUsedAt).toISOString(),
    expires_at: new Date(session.expiresAt).toISOString(),
    user_agent: session.userAgent,
    address: session.address,
  };
}
