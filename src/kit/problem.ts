/**
 * The one place where a failure becomes an HTTP response: RFC 9457 problem details, RFC 6750 challenges, retry hints.
 * Rich inside, vague outside: nothing here knows more than the contract lets a client know.
 */
import type { Failure, FailureCode, LimitState, TokenFault } from "./failure.ts";

export interface ProblemKind {
  readonly status: number;
  readonly title: string;
}

/** Status and title of every code. A code that is missing here does not compile. */
export const PROBLEMS: { readonly [C in FailureCode]: ProblemKind } = {
  invalid_request: { status: 400, title: "The request is not valid" },
  missing_token: { status: 401, title: "No credential was sent" },
  invalid_token: { status: 401, title: "The access token is not valid" },
  token_expired: { status: 401, title: "The access token has expired" },
  token_revoked: { status: 401, title: "The session of this access token was revoked" },
  invalid_credentials: { status: 401, title: "Username or password is wrong" },
  invalid_refresh_token: { status: 401, title: "The refresh token is not valid" },
  refresh_token_expired: { status: 401, title: "The refresh token has expired" },
  refresh_token_reused: { status: 401, title: "The refresh token was used before" },
  session_revoked: { status: 401, title: "The session was revoked" },
  invalid_session: { status: 401, title: "The session is not valid" },
  session_expired: { status: 401, title: "The session has expired" },
  session_auth_removed: { status: 401, title: "Cookie sessions are no longer accepted" },
  insufficient_role: { status: 403, title: "The role of this user does not allow it" },
  account_disabled: { status: 403, title: "The account is disabled" },
  csrf_rejected: { status: 403, title: "The request came from another site" },
  registration_closed: { status: 403, title: "Registration is closed" },
  not_found: { status: 404, title: "There is nothing here" },
  method_not_allowed: { status: 405, title: "The method is not allowed here" },
  username_taken: { status: 409, title: "The username is taken" },
  payload_too_large: { status: 413, title: "The request body is too large" },
  unsupported_media_type: { status: 415, title: "The request body must be JSON" },
  weak_password: { status: 422, title: "The password is too weak" },
  rate_limited: { status: 429, title: "Too many requests from this address" },
  too_many_attempts: { status: 429, title: "Too many attempts for this account" },
  internal_error: { status: 500, title: "Something went wrong on our side" },
  origin_unreachable: { status: 502, title: "The API behind the gateway cannot be reached" },
  dependency_unavailable: { status: 503, title: "A part of the service is unavailable" },
  origin_timeout: { status: 504, title: "The API behind the gateway took too long" },
};

const TOKEN_FAULTS: { readonly [F in TokenFault]: string } = {
  malformed: "malformed JWT",
  algorithm: "algorithm not allowed: RS256 is required",
  type: "wrong token type: at+jwt is required",
  unknown_key: "unknown signing key",
  signature: "signature verification failed",
  issuer: "wrong issuer",
  audience: "wrong audience",
  claims: "claims missing or out of bounds",
};

/** How long a client should leave us alone after a 503. */
const UNAVAILABLE_RETRY_SECONDS = 5;

/** What a rendered problem needs to know about its request. */
export interface ProblemContext {
  /** Base of the `type` URL. Absent when the configuration itself is broken. */
  readonly issuer?: string;
  readonly requestId: string;
}

function detailOf(failure: Failure): string | undefined {
  switch (failure.code) {
    case "invalid_request":
      return failure.detail;
    case "missing_token":
      return "Send the access token as Authorization: Bearer.";
    case "invalid_token":
      return `The access token was refused: ${TOKEN_FAULTS[failure.fault]}.`;
    case "token_expired":
      return "Refresh the session and repeat the request.";
    case "token_revoked":
    case "session_revoked":
    case "invalid_session":
    case "session_expired":
    case "refresh_token_expired":
      return "Log in again.";
    case "refresh_token_reused":
      return "A refresh token works once. The session was revoked, as a copy may be in other hands. Log in again.";
    case "session_auth_removed":
      return "Log in at POST /auth/login and send the access token as Authorization: Bearer: see /docs/migration.";
    case "insufficient_role":
      return `One of these roles is needed: ${failure.roles.join(", ")}.`;
    case "method_not_allowed":
      return `Allowed: ${failure.allow.join(", ")}.`;
    case "payload_too_large":
      return `At most ${failure.limitBytes} bytes are read.`;
    case "weak_password":
      return failure.reason;
    case "rate_limited":
    case "too_many_attempts":
      return `Try again in ${failure.limit.resetSeconds} s.`;
    case "dependency_unavailable":
      return `Unavailable: ${failure.dependency}. Nothing was changed that a retry would not repair.`;
    case "invalid_credentials":
    case "invalid_refresh_token":
    case "account_disabled":
    case "csrf_rejected":
    case "registration_closed":
    case "not_found":
    case "username_taken":
    case "unsupported_media_type":
    case "origin_unreachable":
    case "origin_timeout":
    case "internal_error":
      return undefined;
  }
}

/** RFC 6750 section 3: a challenge on every 401, an error code only when a token was shown. */
function challengeOf(failure: Failure): string | undefined {
  const realm = 'Bearer realm="postern"';
  switch (failure.code) {
    case "invalid_token":
      return `${realm}, error="invalid_token", error_description="${TOKEN_FAULTS[failure.fault]}"`;
    case "token_expired":
      return `${realm}, error="invalid_token", error_description="token expired"`;
    case "token_revoked":
      return `${realm}, error="invalid_token", error_description="token revoked"`;
    case "insufficient_role":
      return `${realm}, error="insufficient_scope", scope="${failure.roles.join(" ")}"`;
    default:
      return PROBLEMS[failure.code].status === 401 ? realm : undefined;
  }
}

/** `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers, section 3 and 4). */
export function setLimitHeaders(headers: Headers, limit: LimitState): void {
  headers.set("RateLimit-Policy", `"${limit.name}";q=${limit.quota};w=${limit.windowSeconds}`);
  headers.set("RateLimit", `"${limit.name}";r=${limit.remaining};t=${limit.resetSeconds}`);
}

/** Renders a failure as RFC 9457 problem details. Never cached. */
export function problem(failure: Failure, context: ProblemContext): Response {
  const { status, title } = PROBLEMS[failure.code];
  const headers = new Headers({
    "Content-Type": "application/problem+json; charset=utf-8",
    "Cache-Control": "no-store",
  });
  const challenge = challengeOf(failure);
  if (challenge !== undefined) headers.set("WWW-Authenticate", challenge);
  if (failure.code === "method_not_allowed") headers.set("Allow", failure.allow.join(", "));
  if (failure.code === "rate_limited" || failure.code === "too_many_attempts") {
    setLimitHeaders(headers, failure.limit);
    headers.set("Retry-After", String(failure.limit.resetSeconds));
  }
  if (failure.code === "dependency_unavailable") headers.set("Retry-After", String(UNAVAILABLE_RETRY_SECONDS));

  const body = {
    type: context.issuer === undefined ? "about:blank" : `${context.issuer}/problems/${failure.code}`,
    title,
    status,
    detail: detailOf(failure),
    code: failure.code,
    request_id: context.requestId,
    errors: failure.code === "invalid_request" ? failure.errors : undefined,
  };
  return new Response(JSON.stringify(body), { status, headers });
}
