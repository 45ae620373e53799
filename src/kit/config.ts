/**
 * The configuration, parsed once per isolate into a frozen typed object: numbers are numbers, URLs are URLs, absent is
 * null. Either all of it is good or the list of everything that is wrong; no value of a secret appears in a fault.
 */
import * as z from "zod/mini";
import { banner, date, rolloutAllow, type TransitionConfig, verifyUrl } from "./transition-config.ts";

/** `quota` requests in any `windowSeconds`. */
export interface Limit {
  readonly quota: number;
  readonly windowSeconds: number;
}

export interface RouteRule {
  /** An absolute path; a final `*` stands for any rest. */
  readonly path: string;
  /** Methods it applies to; null is all of them. */
  readonly methods: readonly string[] | null;
  /** Roles of which the user needs one; null is any user. */
  readonly roles: readonly string[] | null;
  /** Let through without a credential. */
  readonly public: boolean;
}

export interface Config {
  /** `iss` of every token and base of the problem types; an origin without a trailing slash. */
  readonly issuer: string;
  readonly audience: string;
  readonly clientId: string;
  readonly accessTokenSeconds: number;
  readonly refreshIdleSeconds: number;
  readonly refreshMaxSeconds: number;
  readonly refreshRaceSeconds: number;
  readonly revocationLeaseSeconds: number;
  readonly maxSessionsPerUser: number;
  readonly signingKeyBits: number;
  readonly keyRotationDays: number;
  /** How long the audit trail is kept. */
  readonly auditDays: number;
  readonly limits: {
    readonly login: Limit;
    readonly refresh: Limit;
    readonly auth: Limit;
    /** Failed logins per account and address. */
    readonly accountAddress: Limit;
    /** Failed logins per account, from wherever; beyond it they are slowed down. */
    readonly account: Limit;
  };
  readonly passwordMinLength: number;
  readonly registrationOpen: boolean;
  readonly routes: readonly RouteRule[];
  /** Null: the `ORIGIN` service binding is used. */
  readonly originUrl: URL | null;
  readonly originTimeoutSeconds: number;
  readonly forwardAuthorization: boolean;
  /** Origins that may call with credentials from a browser. */
  readonly corsOrigins: readonly string[];
  readonly transition: TransitionConfig;
  readonly authSecret: Uint8Array<ArrayBuffer>;
  readonly authSecretPrevious: Uint8Array<ArrayBuffer> | null;
  readonly originSecret: Uint8Array<ArrayBuffer>;
  readonly originKeyId: string;
  /** Which requests get a line in the log. */
  readonly logRequests: "all" | "failed" | "off";
  /** Whether responses tell what they cost. */
  readonly serverTiming: boolean;
}

export interface ConfigFault {
  readonly variable: string;
  readonly fault: string;
}

const DAY_SECONDS = 86_400;
const SECRET_BYTES = 32;

/** A whole number in [min, max], as a TOML number or as digits. */
function integer(fallback: number, min: number, max: number) {
  const error = `must be a whole number from ${min} to ${max}`;
  const digits = z.pipe(z.string().check(z.regex(/^\d{1,10}$/, { error })), z.transform(Number));
  const bounded = z.number({ error }).check(z.int({ error }), z.gte(min, { error }), z.lte(max, { error }));
  return z._default(
    z
      .pipe(
        z.union([z.number(), digits], { error }),
        z.transform((value: number) => value),
      )
      .check(z.refine((value) => bounded.safeParse(value).success, { error })),
    fallback,
  );
}

function limit(quota: number, windowSeconds: number) {
  const error = "must be QUOTA/SECONDS, as in 10/60: 1 to 1000 requests in 1 to 86400 seconds";
  return z._default(
    z
      .pipe(
        z.string({ error }).check(z.regex(/^[1-9]\d{0,3}\/[1-9]\d{0,4}$/, { error })),
        z.transform((text: string): Limit => {
          const [q = "", w = ""] = text.split("/");
          return { quota: Number(q), windowSeconds: Number(w) };
        }),
      )
      .check(z.refine((value: Limit) => value.quota <= 1000 && value.windowSeconds <= DAY_SECONDS, { error })),
    { quota, windowSeconds },
  );
}

function decodeSecret(text: string): Uint8Array<ArrayBuffer> | null {
  try {
    // By way of atob, since the deployment checks its configuration with this very file, in Node.
    const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
    return bytes.byteLength >= SECRET_BYTES ? bytes : null;
  } catch {
    return null;
  }
}

function secret() {
  const error = `must be base64 of at least ${SECRET_BYTES} random bytes`;
  return z.pipe(
    z.string({ error }).check(z.refine((text) => decodeSecret(text) !== null, { error })),
    z.transform((text: string) => decodeSecret(text) ?? new Uint8Array()),
  );
}

function flag(off: string, on: string, fallback: boolean) {
  const values = z.enum([off, on], { error: `must be ${off} or ${on}` });
  return z._default(
    z.pipe(
      values,
      z.transform((value: string) => value === on),
    ),
    fallback,
  );
}

/** An http(s) origin; plain http only for this machine, since what passes is passwords and tokens. */
function isOrigin(text: string): boolean {
  const url = URL.parse(text);
  if (url === null || url.origin !== text) return false;
  return url.protocol === "https:" || (url.protocol === "http:" && isLoopback(url.hostname));
}

function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname === "127.0.0.1" || hostname === "[::1]";
}

const issuer = z
  .string({ error: "is required" })
  .check(z.refine(isOrigin, { error: "must be an https origin without a path, as in https://auth.example.com" }));

const ORIGIN_URL_FAULT = "must be an http or https origin without a path, as in https://api.internal.example";
const originUrl = z.optional(
  z.pipe(
    z.string({ error: ORIGIN_URL_FAULT }).check(
      z.refine(
        (text) => {
          const url = URL.parse(text);
          if (url === null || (url.protocol !== "https:" && url.protocol !== "http:")) return false;
          return url.href === `${url.origin}/` && (url.origin === text || url.href === text);
        },
        { error: ORIGIN_URL_FAULT },
      ),
    ),
    z.transform((text: string) => new URL(text)),
  ),
);

const corsOrigins = z._default(
  z
    .pipe(
      z.string(),
      z.transform((text: string) =>
        text
          .split(",")
          .map((origin) => origin.trim())
          .filter((origin) => origin !== ""),
      ),
    )
    .check(
      z.refine((origins: string[]) => origins.every(isOrigin), {
        error: "must be a comma-separated list of https origins, without paths or wildcards",
      }),
    ),
  [],
);

const METHOD = /^[A-Z]{3,20}$/;
const ROLE = /^[a-z][a-z0-9_-]{0,31}$/;

const route = z
  .strictObject({
    path: z.string().check(z.regex(/^\/[^*?#]*\*?$/, { error: "must start with / and may end with *" })),
    methods: z.optional(
      z.array(z.string().check(z.regex(METHOD, { error: "must be upper-case methods" }))).check(z.minLength(1)),
    ),
    roles: z.optional(z.array(z.string().check(z.regex(ROLE, { error: "must be role names" }))).check(z.minLength(1))),
    public: z.optional(z.boolean()),
  })
  .check(
    z.refine((rule) => rule.public !== true || rule.roles === undefined, { error: "is public and asks for roles" }),
  );

const DEFAULT_ROUTES: readonly RouteRule[] = [{ path: "/api/*", methods: null, roles: null, public: false }];

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const routes = z._default(
  z.pipe(
    z.pipe(z.string(), z.transform(parseJson)),
    z.pipe(
      z
        .array(route, { error: "must be a JSON list of routes" })
        .check(z.minLength(1, { error: "must name at least one route" })),
      z.transform((rules: z.infer<typeof route>[]): readonly RouteRule[] =>
        rules.map((rule) => ({
          path: rule.path,
          methods: rule.methods ?? null,
          roles: rule.roles ?? null,
          public: rule.public ?? false,
        })),
      ),
    ),
  ),
  DEFAULT_ROUTES,
);

const variables = z.object({
  ISSUER: issuer,
  AUDIENCE: z.string({ error: "is required" }).check(z.minLength(1, { error: "is required" })),
  CLIENT_ID: z._default(z.string().check(z.minLength(1, { error: "must not be empty" })), "postern"),
  ACCESS_TOKEN_SECONDS: integer(900, 1, DAY_SECONDS),
  REFRESH_IDLE_SECONDS: integer(7 * DAY_SECONDS, 1, 400 * DAY_SECONDS),
  REFRESH_MAX_SECONDS: integer(90 * DAY_SECONDS, 1, 400 * DAY_SECONDS),
  REFRESH_RACE_SECONDS: integer(10, 0, 60),
  REVOCATION_LEASE_SECONDS: integer(2, 0, 10),
  MAX_SESSIONS_PER_USER: integer(50, 1, 1000),
  SIGNING_KEY_BITS: integer(2048, 2048, 3072).check(
    z.refine((bits) => bits === 2048 || bits === 3072, { error: "must be 2048 or 3072" }),
  ),
  KEY_ROTATION_DAYS: integer(30, 2, 400),
  AUDIT_DAYS: integer(400, 1, 4000),
  RATE_LIMIT_LOGIN: limit(10, 60),
  RATE_LIMIT_REFRESH: limit(10, 60),
  RATE_LIMIT_AUTH: limit(10, 60),
  RATE_LIMIT_ACCOUNT_ADDRESS: limit(5, 900),
  RATE_LIMIT_ACCOUNT: limit(100, 3600),
  PASSWORD_MIN_LENGTH: integer(15, 8, 256),
  REGISTRATION: flag("closed", "open", false),
  ROUTES: routes,
  ORIGIN_URL: originUrl,
  ORIGIN_TIMEOUT_SECONDS: integer(30, 1, 300),
  FORWARD_AUTHORIZATION: flag("false", "true", false),
  CORS_ORIGINS: corsOrigins,
  SESSION_AUTH: flag("off", "on", false),
  SESSION_SUNSET: date,
  SESSION_DEPRECATION: date,
  SESSION_IDLE_SECONDS: integer(7 * DAY_SECONDS, 1, 400 * DAY_SECONDS),
  SESSION_MAX_SECONDS: integer(90 * DAY_SECONDS, 1, 400 * DAY_SECONDS),
  SESSION_VERIFY_URL: verifyUrl,
  SESSION_LOGIN: flag("postern", "origin", false),
  SESSION_BANNER: banner,
  JWT_ROLLOUT_PERCENT: integer(100, 0, 100),
  JWT_ROLLOUT_SALT: z._default(z.string(), "postern"),
  JWT_ROLLOUT_ALLOW: rolloutAllow,
  TRANSITION_FLUSH_SECONDS: integer(10, 0, 25),
  AUTH_SECRET: secret(),
  AUTH_SECRET_PREVIOUS: z.optional(secret()),
  ORIGIN_SECRET: secret(),
  ORIGIN_KEY_ID: z._default(
    z.string().check(z.regex(/^[A-Za-z0-9._-]{1,64}$/, { error: "must be 1 to 64 letters, digits, dots, dashes" })),
    "postern-1",
  ),
  LOG_REQUESTS: z._default(z.enum(["all", "failed", "off"], { error: "must be all, failed or off" }), "all"),
  SERVER_TIMING: flag("off", "on", false),
});

/** Bindings without which nothing works. Checked for presence only: their types are the generated Env. */
const REQUIRED_BINDINGS = ["DB", "USER_SESSIONS", "COUNTERS"] as const;

export type ParsedConfig =
  | { readonly ok: true; readonly config: Config }
  | { readonly ok: false; readonly faults: readonly ConfigFault[] };

/** Parses the variables and checks the presence of the bindings of `env`. */
export function parseConfig(env: Readonly<Record<string, unknown>>): ParsedConfig {
  const faults: ConfigFault[] = [];
  const parsed = variables.safeParse(env);
  if (!parsed.success) {
    for (const issue of parsed.error.issues) {
      const [variable = "", ...inside] = issue.path.map(String);
      const where = inside.length === 0 ? "" : `at ${inside.join(".")}: `;
      faults.push({ variable, fault: where + issue.message });
    }
  }
  for (const name of REQUIRED_BINDINGS) {
    if (env[name] === undefined) faults.push({ variable: name, fault: "is required: the binding is missing" });
  }
  if ((env["ORIGIN"] === undefined) === (env["ORIGIN_URL"] === undefined)) {
    faults.push({ variable: "ORIGIN", fault: "exactly one of the ORIGIN binding and ORIGIN_URL must be set" });
  }
  const sunsetAt = parsed.data?.SESSION_SUNSET ?? null;
  // Both credentials work side by side for 90 days, unless another beginning is announced.
  const deprecatedAt =
    parsed.data?.SESSION_DEPRECATION ?? (sunsetAt === null ? null : sunsetAt - 90 * DAY_SECONDS * 1000);
  if (sunsetAt !== null && deprecatedAt !== null && sunsetAt < deprecatedAt) {
    faults.push({ variable: "SESSION_SUNSET", fault: "must not be earlier than SESSION_DEPRECATION (RFC 9745)" });
  }
  if (!parsed.success || faults.length > 0) return { ok: false, faults };

  const v = parsed.data;
  return {
    ok: true,
    config: Object.freeze({
      issuer: v.ISSUER,
      audience: v.AUDIENCE,
      clientId: v.CLIENT_ID,
      accessTokenSeconds: v.ACCESS_TOKEN_SECONDS,
      refreshIdleSeconds: v.REFRESH_IDLE_SECONDS,
      refreshMaxSeconds: v.REFRESH_MAX_SECONDS,
      refreshRaceSeconds: v.REFRESH_RACE_SECONDS,
      revocationLeaseSeconds: v.REVOCATION_LEASE_SECONDS,
      maxSessionsPerUser: v.MAX_SESSIONS_PER_USER,
      signingKeyBits: v.SIGNING_KEY_BITS,
      keyRotationDays: v.KEY_ROTATION_DAYS,
      auditDays: v.AUDIT_DAYS,
      limits: {
        login: v.RATE_LIMIT_LOGIN,
        refresh: v.RATE_LIMIT_REFRESH,
        auth: v.RATE_LIMIT_AUTH,
        accountAddress: v.RATE_LIMIT_ACCOUNT_ADDRESS,
        account: v.RATE_LIMIT_ACCOUNT,
      },
      passwordMinLength: v.PASSWORD_MIN_LENGTH,
      registrationOpen: v.REGISTRATION,
      routes: v.ROUTES,
      originUrl: v.ORIGIN_URL ?? null,
      originTimeoutSeconds: v.ORIGIN_TIMEOUT_SECONDS,
      forwardAuthorization: v.FORWARD_AUTHORIZATION,
      corsOrigins: v.CORS_ORIGINS,
      transition: {
        sessionAuth: v.SESSION_AUTH,
        sunsetAt,
        deprecatedAt,
        idleSeconds: v.SESSION_IDLE_SECONDS,
        maxSeconds: v.SESSION_MAX_SECONDS,
        verifyUrl: v.SESSION_VERIFY_URL ?? null,
        loginAtOrigin: v.SESSION_LOGIN,
        banner: v.SESSION_BANNER,
        rollout: { percent: v.JWT_ROLLOUT_PERCENT, salt: v.JWT_ROLLOUT_SALT, ...v.JWT_ROLLOUT_ALLOW },
        flushSeconds: v.TRANSITION_FLUSH_SECONDS,
      },
      authSecret: v.AUTH_SECRET,
      authSecretPrevious: v.AUTH_SECRET_PREVIOUS ?? null,
      originSecret: v.ORIGIN_SECRET,
      originKeyId: v.ORIGIN_KEY_ID,
      logRequests: v.LOG_REQUESTS,
      serverTiming: v.SERVER_TIMING,
    }),
  };
}
