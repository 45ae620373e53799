// What each error code means and what a client should do about it: one table for docs/errors.md and the OpenAPI document.
import type { FailureCode } from "../../src/kit/failure.ts";

export interface Advice {
  readonly when: string;
  readonly whatToDo: string;
}

export const ADVICE: { readonly [C in FailureCode]: Advice } = {
  invalid_request: {
    when: "The body, a parameter or a header is malformed, or two credentials of a kind were sent.",
    whatToDo: "Correct what `errors` or `detail` names. Do not repeat it unchanged.",
  },
  missing_token: {
    when: "A protected endpoint was called without a credential.",
    whatToDo: "Send the access token as `Authorization: Bearer`.",
  },
  invalid_token: {
    when: "The access token is malformed, not ours, or its signature or claims are wrong; `detail` says which.",
    whatToDo: "Drop the token and log in again.",
  },
  token_expired: { when: "The access token is past its `exp`.", whatToDo: "Refresh once, then repeat the request." },
  token_revoked: { when: "The session of the access token was ended.", whatToDo: "Drop both tokens and log in again." },
  invalid_credentials: {
    when: "No account has that username and password.",
    whatToDo: "Ask the user again; the answer does not say which was wrong.",
  },
  invalid_refresh_token: { when: "The refresh token is malformed or unknown.", whatToDo: "Drop it and log in again." },
  refresh_token_expired: {
    when: "The refresh token was unused for too long, or the session reached its age limit.",
    whatToDo: "Log in again.",
  },
  refresh_token_reused: {
    when: "A refresh token that was already exchanged came again. The session is revoked.",
    whatToDo: "Log in again. Keep one store for the token, so that no two places refresh with the same one.",
  },
  session_revoked: { when: "The session of the refresh token was ended.", whatToDo: "Log in again." },
  invalid_session: { when: "The session cookie is missing where it is needed, or unknown.", whatToDo: "Log in again." },
  session_expired: { when: "The cookie session has expired.", whatToDo: "Log in again." },
  session_auth_removed: {
    when: "Cookie sessions have reached their sunset.",
    whatToDo: "Log in at `POST /auth/login` and use tokens.",
  },
  insufficient_role: {
    when: "The user's role does not allow the request.",
    whatToDo: "Do not repeat it; `detail` names the roles that may.",
  },
  account_disabled: {
    when: "The password is right, but an administrator disabled the account.",
    whatToDo: "Tell the user to contact an administrator.",
  },
  csrf_rejected: {
    when: "A cookie came with a request from another site.",
    whatToDo: "Call from the same origin, or have the origin added to `CORS_ORIGINS`.",
  },
  registration_closed: {
    when: "This deployment does not let users register themselves.",
    whatToDo: "Have an administrator create the account.",
  },
  not_found: {
    when: "No such endpoint, route, user or session, or it belongs to somebody else.",
    whatToDo: "Check the path and the id.",
  },
  method_not_allowed: {
    when: "The path exists, but not with this method.",
    whatToDo: "Use a method of the `Allow` header.",
  },
  username_taken: { when: "Another account has that username.", whatToDo: "Choose another." },
  payload_too_large: { when: "The JSON body is over 16 KiB.", whatToDo: "Send less." },
  unsupported_media_type: {
    when: "The body is not declared as JSON.",
    whatToDo: "Send `Content-Type: application/json`.",
  },
  weak_password: {
    when: "The new password does not meet the policy; `detail` says why.",
    whatToDo: "Show the reason and ask for another.",
  },
  rate_limited: { when: "The address sent too many requests.", whatToDo: "Wait for `Retry-After` seconds." },
  too_many_attempts: { when: "The account saw too many failed logins.", whatToDo: "Wait for `Retry-After` seconds." },
  internal_error: {
    when: "A bug, or a configuration that does not hold.",
    whatToDo: "Report it with the `request_id`.",
  },
  origin_unreachable: {
    when: "The API behind the gateway cannot be reached.",
    whatToDo: "Repeat later, if the request may be repeated.",
  },
  dependency_unavailable: {
    when: "The database, the session objects, the counters, the keys or the application does not answer.",
    whatToDo: "Repeat after `Retry-After` seconds.",
  },
  origin_timeout: {
    when: "The API behind the gateway sent no first byte in time.",
    whatToDo: "Repeat later, if the request may be repeated.",
  },
};
