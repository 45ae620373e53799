// The response schemas of the OpenAPI document. Request schemas are not here: they are the ones the Worker parses with.
export type Json = { readonly [key: string]: unknown };

const text: Json = { type: "string" };
const nullableText: Json = { type: ["string", "null"] };
const count: Json = { type: "integer", minimum: 0 };
const time: Json = { type: "string", format: "date-time" };
const nullableTime: Json = { type: ["string", "null"], format: "date-time" };
const uuid: Json = { type: "string", format: "uuid" };
const nullableUuid: Json = { type: ["string", "null"], format: "uuid" };
const share: Json = { type: ["number", "null"], minimum: 0, maximum: 1 };

export const reference = (name: string): Json => ({ $ref: `#/components/schemas/${name}` });
const list = (items: Json): Json => ({ type: "array", items });

/** An object with all of `properties` required, but for those named. */
function object(properties: Json, ...optional: readonly string[]): Json {
  return { type: "object", properties, required: Object.keys(properties).filter((name) => !optional.includes(name)) };
}

const session: Json = {
  id: uuid,
  created_at: time,
  last_used_at: time,
  expires_at: time,
  user_agent: nullableText,
  address: nullableText,
};

export function responseSchemas(codes: readonly string[]): Json {
  return {
    Problem: object(
      {
        type: text,
        title: text,
        status: { type: "integer", minimum: 400, maximum: 599 },
        detail: text,
        code: { type: "string", enum: codes },
        request_id: text,
        errors: list(object({ path: text, message: text })),
      },
      "detail",
      "errors",
    ),
    Tokens: object(
      {
        access_token: text,
        token_type: { const: "Bearer" },
        expires_in: count,
        refresh_token: { type: "string", description: "Absent when it was delivered as a cookie." },
        refresh_expires_in: count,
        session_id: uuid,
      },
      "refresh_token",
    ),
    SessionLogin: object({ token_type: { const: "Session" }, expires_in: count }),
    TokensOrSession: { oneOf: [reference("Tokens"), reference("SessionLogin")] },
    OwnSessions: object({ sessions: list(object({ ...session, current: { type: "boolean" } })) }),
    Sessions: object({ sessions: list(object(session)) }),
    Me: object({ user_id: uuid, username: text, role: text }),
    Registered: object({ user_id: uuid }),
    LegacyLogin: object({ user_id: text, role: text }),
    KeySet: object({ keys: list({ type: "object", required: ["kty", "kid"] }) }),
    Health: object({ status: { const: "ok" } }),
    Unready: object({ status: { const: "unavailable" }, failed: list({ enum: ["database", "keys"] }) }),
    User: object({
      id: uuid,
      username: text,
      role: text,
      status: { enum: ["active", "disabled"] },
      created_at: time,
      updated_at: time,
    }),
    Users: object({ users: list(reference("User")), next_cursor: nullableUuid }),
    Keys: object({
      keys: list(
        object({
          kid: text,
          state: { enum: ["next", "current", "retired", "withdrawn", "expired"] },
          created_at: time,
          active_at: time,
          withdrawn_at: nullableTime,
        }),
      ),
    }),
    AuditEvents: object({
      events: list(
        object({
          id: uuid,
          at: time,
          event: text,
          user_id: nullableText,
          actor_id: nullableText,
          session_id: nullableText,
          address: nullableText,
          request_id: text,
          detail: { type: "object" },
        }),
      ),
      next_cursor: nullableUuid,
    }),
    Transition: object({
      sunset: nullableTime,
      rollout_percent: { type: "number", minimum: 0, maximum: 100 },
      days: list(object({ day: text, jwt_requests: share, jwt_logins: share })),
      figures: list(
        object({
          day: text,
          client: text,
          credential: { enum: ["jwt", "session"] },
          logins: count,
          exchanges: count,
          requests: count,
        }),
      ),
    }),
    SessionUsers: object({
      users: list(
        object({ user_id: text, username: nullableText, role: nullableText, sessions: count, last_seen_at: time }),
      ),
      next_cursor: nullableText,
    }),
  };
}
