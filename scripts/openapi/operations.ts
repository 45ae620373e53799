// Every endpoint of Postern as data: what it takes, what it answers, and the error codes it can refuse with.
import type { FailureCode } from "../../src/kit/failure.ts";

export interface Parameter {
  readonly name: string;
  readonly in: "query" | "path" | "header";
  readonly description: string;
  readonly schema: Readonly<Record<string, unknown>>;
}

export interface Operation {
  readonly method: "get" | "post" | "patch" | "delete";
  readonly path: string;
  readonly id: string;
  readonly summary: string;
  readonly tag: "client" | "well-known" | "legacy" | "admin";
  /** Alternatives, each one scheme; none: anybody. */
  readonly security?: readonly ("bearer" | "refreshCookie" | "sessionCookie")[];
  readonly parameters?: readonly Parameter[];
  readonly body?: { readonly schema: string; readonly isOptional?: boolean };
  readonly status: number;
  /** A schema name per media type; absent: no content. */
  readonly content?: Readonly<Record<string, string>>;
  /** Header names beyond those of every response. */
  readonly headers?: readonly string[];
  readonly problems: readonly FailureCode[];
}

const JSON_TYPE = "application/json; charset=utf-8";
const BEARER: readonly FailureCode[] = [
  "invalid_request",
  "missing_token",
  "invalid_token",
  "token_expired",
  "token_revoked",
  "dependency_unavailable",
];
const BODY: readonly FailureCode[] = ["invalid_request", "payload_too_large", "unsupported_media_type"];
const ADMIN: readonly FailureCode[] = [...BEARER, "insufficient_role", "rate_limited"];
const PASSWORD: readonly FailureCode[] = [
  ...BODY,
  "invalid_credentials",
  "account_disabled",
  "rate_limited",
  "too_many_attempts",
  "dependency_unavailable",
];
const SESSION: readonly FailureCode[] = ["csrf_rejected", "invalid_session", "session_expired", "session_auth_removed"];
const LIMIT_HEADERS = ["RateLimit-Policy", "RateLimit"];
const NOTICES = ["Deprecation", "Sunset", "Link"];

const json = (schema: string) => ({ [JSON_TYPE]: schema });
const uuid = { type: "string", format: "uuid" };
const inPath = (name: string, description: string): Parameter => ({ name, in: "path", description, schema: uuid });
const inQuery = (name: string, description: string, schema: Parameter["schema"] = { type: "string" }): Parameter => ({
  name,
  in: "query",
  description,
  schema,
});

const USER = inPath("id", "The user.");
const PAGE = [
  inQuery("limit", "How many to return.", { type: "integer", minimum: 1, maximum: 200, default: 50 }),
  inQuery("cursor", "The `next_cursor` of the page before.", uuid),
];

const client: readonly Operation[] = [
  {
    method: "post",
    path: "/auth/login",
    id: "login",
    summary: "Log in with username and password",
    tag: "client",
    body: { schema: "LoginRequest" },
    status: 200,
    content: json("TokensOrSession"),
    headers: [...LIMIT_HEADERS, "Set-Cookie"],
    problems: PASSWORD,
  },
  {
    method: "post",
    path: "/auth/refresh",
    id: "refresh",
    summary: "Exchange a refresh token for new tokens",
    tag: "client",
    security: ["refreshCookie"],
    parameters: [
      {
        name: "Idempotency-Key",
        in: "header",
        description: "Names the attempt, so that a retry gets the same answer.",
        schema: { type: "string", minLength: 1, maxLength: 255, pattern: "^[\\x20-\\x7e]+$" },
      },
    ],
    body: { schema: "RefreshRequest", isOptional: true },
    status: 200,
    content: json("Tokens"),
    headers: [...LIMIT_HEADERS, "Postern-Refresh", "Set-Cookie"],
    problems: [
      ...BODY,
      "missing_token",
      "invalid_refresh_token",
      "refresh_token_expired",
      "refresh_token_reused",
      "session_revoked",
      "csrf_rejected",
      "account_disabled",
      "rate_limited",
      "dependency_unavailable",
    ],
  },
  {
    method: "post",
    path: "/auth/logout",
    id: "logout",
    summary: "End the session of the credentials shown",
    tag: "client",
    security: ["bearer", "refreshCookie"],
    body: { schema: "LogoutRequest", isOptional: true },
    status: 204,
    headers: [...LIMIT_HEADERS, "Set-Cookie"],
    problems: [...BODY, ...BEARER, "invalid_refresh_token", "csrf_rejected", "rate_limited"],
  },
  {
    method: "post",
    path: "/auth/logout/all",
    id: "logoutAll",
    summary: "End every session of the user",
    tag: "client",
    security: ["bearer"],
    status: 204,
    headers: [...LIMIT_HEADERS, "Set-Cookie"],
    problems: [...BEARER, "rate_limited"],
  },
  {
    method: "get",
    path: "/auth/sessions",
    id: "listOwnSessions",
    summary: "List the user's sessions",
    tag: "client",
    security: ["bearer"],
    status: 200,
    content: json("OwnSessions"),
    headers: LIMIT_HEADERS,
    problems: [...BEARER, "rate_limited"],
  },
  {
    method: "delete",
    path: "/auth/sessions/{id}",
    id: "endOwnSession",
    summary: "End one of the user's sessions",
    tag: "client",
    security: ["bearer"],
    parameters: [inPath("id", "The session.")],
    status: 204,
    headers: LIMIT_HEADERS,
    problems: [...BEARER, "not_found", "rate_limited"],
  },
  {
    method: "get",
    path: "/auth/me",
    id: "me",
    summary: "Who the access token stands for",
    tag: "client",
    security: ["bearer"],
    status: 200,
    content: json("Me"),
    headers: LIMIT_HEADERS,
    problems: [...BEARER, "rate_limited"],
  },
  {
    method: "post",
    path: "/auth/password",
    id: "changePassword",
    summary: "Change the password and end all other sessions",
    tag: "client",
    security: ["bearer"],
    body: { schema: "PasswordRequest" },
    status: 204,
    headers: LIMIT_HEADERS,
    problems: [...BEARER, ...PASSWORD, "weak_password"],
  },
  {
    method: "post",
    path: "/auth/register",
    id: "register",
    summary: "Create an account, where registration is open",
    tag: "client",
    body: { schema: "RegisterRequest" },
    status: 201,
    content: json("Registered"),
    headers: LIMIT_HEADERS,
    problems: [
      ...BODY,
      "registration_closed",
      "username_taken",
      "weak_password",
      "rate_limited",
      "dependency_unavailable",
    ],
  },
];

const wellKnown: readonly Operation[] = [
  {
    method: "get",
    path: "/.well-known/jwks.json",
    id: "keySet",
    summary: "The public signing keys",
    tag: "well-known",
    status: 200,
    content: { "application/jwk-set+json; charset=utf-8": "KeySet" },
    headers: ["ETag"],
    problems: ["dependency_unavailable"],
  },
  {
    method: "get",
    path: "/healthz",
    id: "healthz",
    summary: "Whether Postern is alive",
    tag: "well-known",
    status: 200,
    content: json("Health"),
    problems: [],
  },
  {
    method: "get",
    path: "/readyz",
    id: "readyz",
    summary: "Whether Postern can serve",
    tag: "well-known",
    status: 200,
    content: json("Health"),
    problems: [],
  },
  {
    method: "get",
    path: "/problems/{code}",
    id: "problem",
    summary: "What an error code means",
    tag: "well-known",
    parameters: [{ name: "code", in: "path", description: "An error code.", schema: { type: "string" } }],
    status: 200,
    content: { "text/plain; charset=utf-8": "Text" },
    problems: ["not_found"],
  },
];

const legacy: readonly Operation[] = [
  {
    method: "post",
    path: "/api/login",
    id: "legacyLogin",
    summary: "Log in for a cookie session",
    tag: "legacy",
    body: { schema: "RegisterRequest" },
    status: 200,
    content: json("LegacyLogin"),
    headers: [...NOTICES, ...LIMIT_HEADERS, "Set-Cookie"],
    problems: [...PASSWORD, "session_auth_removed"],
  },
  {
    method: "post",
    path: "/api/logout",
    id: "legacyLogout",
    summary: "End the cookie session",
    tag: "legacy",
    security: ["sessionCookie"],
    status: 204,
    headers: [...NOTICES, "Set-Cookie"],
    problems: ["csrf_rejected", "dependency_unavailable"],
  },
  {
    method: "post",
    path: "/auth/exchange",
    id: "exchange",
    summary: "Get tokens for a cookie session",
    tag: "legacy",
    security: ["sessionCookie"],
    body: { schema: "ExchangeRequest", isOptional: true },
    status: 200,
    content: json("TokensOrSession"),
    headers: [...NOTICES, ...LIMIT_HEADERS, "Set-Cookie"],
    problems: [...BODY, ...SESSION, "rate_limited", "dependency_unavailable"],
  },
  {
    method: "get",
    path: "/docs/migration",
    id: "migration",
    summary: "How a client moves from cookie sessions to tokens",
    tag: "legacy",
    status: 200,
    content: { "text/plain; charset=utf-8": "Text" },
    problems: [],
  },
];

const admin: readonly Operation[] = (
  [
    {
      method: "get",
      path: "/admin/users",
      id: "listUsers",
      summary: "List users by page",
      parameters: [
        inQuery("query", "Part of the username."),
        inQuery("role", "Only this role."),
        inQuery("status", "Only this status.", { enum: ["active", "disabled"] }),
        ...PAGE,
      ],
      status: 200,
      content: json("Users"),
      problems: [],
    },
    {
      method: "post",
      path: "/admin/users",
      id: "createUser",
      summary: "Create a user",
      body: { schema: "CreateUserRequest" },
      status: 201,
      content: json("User"),
      problems: [...BODY, "username_taken", "weak_password"],
    },
    {
      method: "get",
      path: "/admin/users/{id}",
      id: "getUser",
      summary: "Show a user",
      parameters: [USER],
      status: 200,
      content: json("User"),
      problems: ["not_found"],
    },
    {
      method: "patch",
      path: "/admin/users/{id}",
      id: "changeUser",
      summary: "Change role, status or password",
      parameters: [USER],
      body: { schema: "ChangeUserRequest" },
      status: 200,
      content: json("User"),
      problems: [...BODY, "not_found", "weak_password"],
    },
    {
      method: "delete",
      path: "/admin/users/{id}",
      id: "deleteUser",
      summary: "Delete a user and end their sessions",
      parameters: [USER],
      status: 204,
      problems: ["not_found"],
    },
    {
      method: "get",
      path: "/admin/users/{id}/sessions",
      id: "listSessionsOfUser",
      summary: "List a user's sessions",
      parameters: [USER],
      status: 200,
      content: json("Sessions"),
      problems: ["not_found"],
    },
    {
      method: "delete",
      path: "/admin/users/{id}/sessions",
      id: "endSessionsOfUser",
      summary: "End a user's sessions",
      parameters: [USER],
      status: 204,
      problems: ["not_found"],
    },
    {
      method: "delete",
      path: "/admin/users/{id}/sessions/{sid}",
      id: "endSessionOfUser",
      summary: "End one session of a user",
      parameters: [USER, inPath("sid", "The session.")],
      status: 204,
      problems: ["not_found"],
    },
    {
      method: "get",
      path: "/admin/keys",
      id: "listKeys",
      summary: "The signing keys and their states",
      status: 200,
      content: json("Keys"),
      problems: [],
    },
    {
      method: "post",
      path: "/admin/keys/rotate",
      id: "rotateKeys",
      summary: "Mint the next signing key",
      body: { schema: "RotateRequest", isOptional: true },
      status: 200,
      content: json("Keys"),
      problems: BODY,
    },
    {
      method: "get",
      path: "/admin/audit",
      id: "readAudit",
      summary: "Security events, newest first",
      parameters: [
        inQuery("user", "Only of this user."),
        inQuery("event", "Only this event."),
        inQuery("since", "Not before this time.", { type: "string", format: "date-time" }),
        ...PAGE,
      ],
      status: 200,
      content: json("AuditEvents"),
      problems: [],
    },
    {
      method: "get",
      path: "/admin/transition",
      id: "transition",
      summary: "Shares of logins and requests by credential",
      parameters: [inQuery("days", "How many days back.", { type: "integer", minimum: 1, maximum: 400, default: 30 })],
      status: 200,
      content: json("Transition"),
      problems: [],
    },
    {
      method: "get",
      path: "/admin/transition/users",
      id: "usersOnSessions",
      summary: "Who is still on cookie sessions",
      parameters: [inQuery("format", "`csv` for CSV.", { type: "string" }), ...PAGE],
      status: 200,
      content: { ...json("SessionUsers"), "text/csv; charset=utf-8": "Text" },
      headers: ["Link"],
      problems: [],
    },
  ] satisfies readonly Omit<Operation, "tag" | "security">[]
).map((operation) => ({
  ...operation,
  tag: "admin",
  security: ["bearer"],
  problems: [...ADMIN, ...operation.problems],
}));

export const OPERATIONS: readonly Operation[] = [...client, ...wellKnown, ...legacy, ...admin];
