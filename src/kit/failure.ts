/**
 * Every way a request can be refused, as one closed union. The tag is the contract's stable `code`; what else a member
 * carries is for the headers and the words of the answer, never a secret. Rendering is problem.ts.
 */

export interface FieldFault {
  /** Where in the body or parameters: `password`, `routes.0.path`. Empty for the whole. */
  readonly path: string;
  readonly message: string;
}

/** What is wrong with an access token, in the words shown to its holder. */
export type TokenFault =
  | "malformed"
  | "algorithm"
  | "type"
  | "unknown_key"
  | "signature"
  | "issuer"
  | "audience"
  | "claims";

/** A limit as the client sees it (draft-ietf-httpapi-ratelimit-headers): its name, quota, window, and what is left. */
export interface LimitState {
  readonly name: string;
  readonly quota: number;
  readonly windowSeconds: number;
  readonly remaining: number;
  /** Seconds until at least one more request will be let through; rounded up, never 0 while `remaining` is 0. */
  readonly resetSeconds: number;
}

export type Dependency = "database" | "sessions" | "limits" | "keys" | "application";

export type Failure =
  | { readonly code: "invalid_request"; readonly detail: string; readonly errors?: readonly FieldFault[] }
  | { readonly code: "missing_token" }
  | { readonly code: "invalid_token"; readonly fault: TokenFault }
  | { readonly code: "token_expired" }
  | { readonly code: "token_revoked" }
  | { readonly code: "invalid_credentials" }
  | { readonly code: "invalid_refresh_token" }
  | { readonly code: "refresh_token_expired" }
  | { readonly code: "refresh_token_reused" }
  | { readonly code: "session_revoked" }
  | { readonly code: "invalid_session" }
  | { readonly code: "session_expired" }
  | { readonly code: "session_auth_removed" }
  | { readonly code: "insufficient_role"; readonly roles: readonly string[] }
  | { readonly code: "account_disabled" }
  | { readonly code: "csrf_rejected" }
  | { readonly code: "registration_closed" }
  | { readonly code: "not_found" }
  | { readonly code: "method_not_allowed"; readonly allow: readonly string[] }
  | { readonly code: "username_taken" }
  | { readonly code: "payload_too_large"; readonly limitBytes: number }
  | { readonly code: "unsupported_media_type" }
  | { readonly code: "weak_password"; readonly reason: string }
  | { readonly code: "rate_limited"; readonly limit: LimitState }
  | { readonly code: "too_many_attempts"; readonly limit: LimitState }
  | { readonly code: "origin_unreachable" }
  | { readonly code: "dependency_unavailable"; readonly dependency: Dependency }
  | { readonly code: "origin_timeout" }
  | { readonly code: "internal_error" };

export type FailureCode = Failure["code"];
