// Puts the OpenAPI 3.1 document and docs/errors.md together, from the schemas the Worker parses with, its error table, and
// the operations beside this file. The doors are imported by address: their types are the Worker's, not this script's.
import * as z from "zod/mini";
import type { FailureCode } from "../../src/kit/failure.ts";
import { PROBLEMS } from "../../src/kit/problem.ts";
import { ADVICE } from "./advice.ts";
import { type Operation, OPERATIONS } from "./operations.ts";
import { type Json, reference, responseSchemas } from "./schemas.ts";

type Bodies<Name extends string> = { readonly [N in Name]: z.ZodMiniType };

const load = (door: string): Promise<unknown> => import(new URL(`../../src/doors/${door}.ts`, import.meta.url).href);
const { bodies: auth } = (await load("auth")) as {
  bodies: Bodies<"login" | "refresh" | "logout" | "password" | "register">;
};
const { bodies: admin } = (await load("admin")) as { bodies: Bodies<"create" | "change" | "rotate"> };
const { exchangeBody } = (await load("legacy")) as { exchangeBody: z.ZodMiniType };

const CODES = Object.keys(PROBLEMS) as FailureCode[];

const HEADERS: Readonly<Record<string, string>> = {
  "X-Request-Id": "The id of the request: the client's, if it sent a sane one.",
  "Strict-Transport-Security": "HTTPS only.",
  "X-Content-Type-Options": "`nosniff`.",
  "Referrer-Policy": "`no-referrer`.",
  "Cache-Control": "`no-store` on everything that bears tokens or is an error; the key set may be kept for minutes.",
  "RateLimit-Policy": 'The limit the request was counted against: `"login";q=10;w=60`.',
  RateLimit: 'What is left of it: `"login";r=9;t=6`.',
  "Retry-After": "Seconds to wait.",
  "WWW-Authenticate": "The challenge of RFC 6750.",
  "Postern-Refresh": "`rotated`, or `replayed` for a retry that got the answer again.",
  "Set-Cookie": "The cookie set or cleared, if any.",
  Deprecation: "Since when cookie sessions are deprecated (RFC 9745).",
  Sunset: "When they end (RFC 8594).",
  Link: 'Where to read on: `rel="deprecation"`, or `rel="next"` for a page.',
  ETag: "The version of the key set.",
};
const ALWAYS = ["X-Request-Id", "Strict-Transport-Security", "X-Content-Type-Options", "Referrer-Policy"];

const headersOf = (names: readonly string[]): Json =>
  Object.fromEntries([...ALWAYS, ...names].map((name) => [name, { $ref: `#/components/headers/${name}` }]));

/** The response of one error status: the problem, narrowed to the codes it can carry. */
function refusal(status: number, codes: readonly FailureCode[], names: readonly string[]): Json {
  const own = ["Cache-Control"];
  if (status === 401 || codes.includes("insufficient_role")) own.push("WWW-Authenticate");
  if (status === 429 || status === 503) own.push("Retry-After");
  if (status === 429) own.push("RateLimit-Policy", "RateLimit");
  const [first] = codes;
  return {
    description: codes.map((code) => `\`${code}\`: ${PROBLEMS[code].title}.`).join("\n"),
    headers: headersOf([...new Set([...own, ...names])]),
    content: {
      "application/problem+json; charset=utf-8": {
        schema: { allOf: [reference("Problem"), { properties: { status: { const: status }, code: { enum: codes } } }] },
        example:
          first === undefined
            ? undefined
            : {
                type: `https://auth.example.com/problems/${first}`,
                title: PROBLEMS[first].title,
                status,
                code: first,
                request_id: "01989f6e-1d9c-7cc2-9a37-5d1f7f6f4f10",
              },
      },
    },
  };
}

function responsesOf({ status, content, headers = [], problems, summary, id }: Operation): Json {
  const responses: Record<string, Json> = {
    [status]: {
      description: `${summary}: done.`,
      headers: headersOf(["problem", "migration"].includes(id) ? headers : ["Cache-Control", ...headers]),
      ...(content && {
        content: Object.fromEntries(Object.entries(content).map(([type, name]) => [type, { schema: reference(name) }])),
      }),
    },
  };
  if (id === "keySet")
    responses["304"] = {
      description: "The key set is the one the client has.",
      headers: headersOf(["ETag", "Cache-Control"]),
    };
  if (id === "readyz") {
    const type = { "application/json; charset=utf-8": { schema: reference("Unready") } };
    responses["503"] = { description: "What failed.", headers: headersOf(["Cache-Control"]), content: type };
  }
  const kept = headers.filter((name) => !["Postern-Refresh", "ETag"].includes(name));
  const codes = [...new Set([...problems, "internal_error" as const])];
  for (const refused of [...new Set(codes.map((code) => PROBLEMS[code].status))].toSorted((a, b) => a - b)) {
    responses[refused] = refusal(
      refused,
      codes.filter((code) => PROBLEMS[code].status === refused),
      kept,
    );
  }
  return responses;
}

function operation(of: Operation): Json {
  return {
    operationId: of.id,
    summary: of.summary,
    tags: [of.tag],
    security: of.security?.map((scheme) => ({ [scheme]: [] })) ?? [],
    parameters: of.parameters?.map((parameter) => ({ ...parameter, required: parameter.in === "path" })),
    requestBody: of.body && {
      required: of.body.isOptional !== true,
      content: { "application/json": { schema: reference(of.body.schema) } },
    },
    responses: responsesOf(of),
  };
}

function requestSchemas(): Json {
  const schemas = {
    LoginRequest: auth.login,
    RefreshRequest: auth.refresh,
    LogoutRequest: auth.logout,
    PasswordRequest: auth.password,
    RegisterRequest: auth.register,
    ExchangeRequest: exchangeBody,
    CreateUserRequest: admin.create,
    ChangeUserRequest: admin.change,
    RotateRequest: admin.rotate,
  };
  return Object.fromEntries(
    Object.entries(schemas).map(([name, schema]) => {
      const { $schema: _, ...rest } = z.toJSONSchema(schema, { io: "input" });
      return [name, rest];
    }),
  );
}

function pathsOf(): Json {
  const paths: Record<string, Record<string, Json>> = {};
  for (const of of OPERATIONS) (paths[of.path] ??= {})[of.method] = operation(of);
  return paths;
}

/** docs/api/openapi.json. */
export function openapi(): string {
  const document = {
    openapi: "3.1.1",
    info: {
      title: "Postern",
      version: "0.1.0",
      license: { name: "MIT", identifier: "MIT" },
      description:
        "An auth gateway at the edge. Every other path is the gateway's: it answers as the API behind it does, or refuses with `missing_token`, `invalid_token`, `token_expired`, `token_revoked`, `insufficient_role`, `not_found`, `method_not_allowed`, `csrf_rejected`, `invalid_session`, `session_expired`, `session_auth_removed`, `origin_unreachable`, `dependency_unavailable` or `origin_timeout`. HEAD is answered like GET, without the body; any other method is 405 with `Allow`. The legacy endpoints exist while cookie sessions do.",
    },
    servers: [{ url: "/" }],
    tags: [
      { name: "client", description: "Login, refresh, logout and the user's own sessions." },
      { name: "well-known", description: "What anybody may read." },
      { name: "legacy", description: "Cookie sessions, until their sunset." },
      { name: "admin", description: "For the role `admin`; every change is audited." },
    ],
    paths: pathsOf(),
    components: {
      schemas: { ...requestSchemas(), ...responseSchemas(CODES), Text: { type: "string" } },
      headers: Object.fromEntries(
        Object.entries(HEADERS).map(([name, description]) => [name, { description, schema: { type: "string" } }]),
      ),
      securitySchemes: {
        bearer: { type: "http", scheme: "bearer", bearerFormat: "JWT" },
        refreshCookie: { type: "apiKey", in: "cookie", name: "__Host-refresh_token" },
        sessionCookie: { type: "apiKey", in: "cookie", name: "session_id" },
      },
    },
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}

/** docs/errors.md. */
export function errorsPage(): string {
  const rows = CODES.map(
    (code) => `| \`${code}\` | ${PROBLEMS[code].status} | ${ADVICE[code].when} | ${ADVICE[code].whatToDo} |`,
  );
  return `# Errors

Written by \`npm run generate\` from the error table: change that, not this page. Every error is RFC 9457 problem details; go by
\`code\`, which does not change, and not by \`title\` or \`detail\`.

| code | status | when | what to do |
|---|---|---|---|
${rows.join("\n")}
`;
}
