/**
 * The part of the configuration that is about leaving cookie sessions: what its variables look like. Parsed together
 * with the rest, in config.ts.
 */
import * as z from "zod/mini";

export interface TransitionConfig {
  /** Whether session cookies are accepted, until the sunset. */
  readonly sessionAuth: boolean;
  /** Milliseconds since 1970: from here on no session cookie is accepted. Null: no date is set yet. */
  readonly sunsetAt: number | null;
  /** From here on sessions count as deprecated; it may lie ahead. Null: they do not yet. */
  readonly deprecatedAt: number | null;
  readonly idleSeconds: number;
  readonly maxSeconds: number;
  /** Where the existing application says whose one of its own sessions is. */
  readonly verifyUrl: URL | null;
  /** Whether `/api/login` and `/api/logout` are the application's. */
  readonly loginAtOrigin: boolean;
  /** Text of the banner, `{date}` standing for the sunset; null shows none. */
  readonly banner: string | null;
  readonly rollout: Rollout;
  readonly flushSeconds: number;
}

/** Who gets tokens at login. */
export interface Rollout {
  readonly percent: number;
  readonly salt: string;
  /** Roles, user ids and usernames that are in at any percentage. */
  readonly roles: readonly string[];
  readonly users: readonly string[];
}

const DATE_FAULT = "must be a date, as in 2027-03-31 (from the first second of that day, UTC) or 2027-03-31T12:00:00Z";

/** A date as milliseconds since 1970. */
export const date = z.optional(
  z.pipe(
    z.string({ error: DATE_FAULT }).check(
      z.refine(
        (text) => /^\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}(?::\d{2})?Z)?$/.test(text) && !Number.isNaN(Date.parse(text)),
        {
          error: DATE_FAULT,
        },
      ),
    ),
    z.transform((text: string) => Date.parse(text)),
  ),
);

const VERIFY_FAULT =
  "must be an https URL (http for this machine only), as in https://app.example.com/internal/session";

/** Session ids travel there, hence TLS. */
export const verifyUrl = z.optional(
  z.pipe(
    z.string({ error: VERIFY_FAULT }).check(
      z.refine(
        (text) => {
          const url = URL.parse(text);
          if (url === null || url.username !== "" || url.hash !== "") return false;
          return url.protocol === "https:" || /^http:\/\/(?:localhost|127\.0\.0\.1|\[::1\])[:/]/.test(url.href);
        },
        { error: VERIFY_FAULT },
      ),
    ),
    z.transform((text: string) => new URL(text)),
  ),
);

const ALLOW_FAULT = "must be a comma-separated list of role:<role> and user:<id or username>";

/** Who is in before any percentage. */
export const rolloutAllow = z._default(
  z.pipe(
    z.string({ error: ALLOW_FAULT }).check(
      z.refine((text) => text.trim() === "" || text.split(",").every((entry) => /^\s*(?:role|user):./.test(entry)), {
        error: ALLOW_FAULT,
      }),
    ),
    z.transform((text: string) => {
      const entries = text.split(",").map((entry) => entry.trim());
      const of = (kind: string): string[] =>
        entries.filter((entry) => entry.startsWith(kind)).map((entry) => entry.slice(kind.length));
      return { roles: of("role:"), users: of("user:") };
    }),
  ),
  { roles: [], users: [] },
);

const DEFAULT_BANNER = "Signing in is changing here. Please sign out and in again before {date} to keep your access.";

/** `on`, `off`, or the text itself. */
export const banner = z._default(
  z.pipe(
    z.string().check(z.maxLength(500, { error: "must be on, off, or a text of at most 500 characters" })),
    z.transform((text: string) => (text === "off" ? null : text === "on" ? DEFAULT_BANNER : text)),
  ),
  DEFAULT_BANNER,
);
