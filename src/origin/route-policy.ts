/**
 * Which route a request is on and what it asks of the user: `ROUTES`, compiled once. The first rule that fits method and
 * path decides; what fits none is refused. It judges, it does not authenticate. Paths come from path.ts, normalised.
 *
 * An origin may be laxer about spelling than RFC 3986: Express ignores case and a trailing slash, Werkzeug decodes
 * before it routes, Windows drops trailing dots. So a path is also read the way the laxest would. If that reading falls
 * under a rule that asks for more than the one found, the request is refused, instead of reaching an admin handler as
 * `/api/Admin`.
 */
import type { RouteRule } from "../kit/config.ts";
import { fail, ok, type Result } from "../kit/result.ts";
import { normalisePath } from "./path.ts";

/** What the matched route asks for. */
export interface Access {
  /** The path of the rule, as it was configured. */
  readonly pattern: string;
  /** Let through without a credential. */
  readonly public: boolean;
  /** Roles of which the user needs one; null is any user. */
  readonly roles: readonly string[] | null;
}

/** The route found, or `not_found`, `method_not_allowed`, `invalid_request`. */
export type RouteMatch = Result<Access>;

export interface RoutePolicy {
  /** @param path as {@link normalisePath} returned it */
  match(method: string, path: string): RouteMatch;
}

interface Pattern {
  /** The path itself, for a pattern without `*` or the directory a final `/*` stands for; null when there is none. */
  readonly exact: string | null;
  /** What every longer path begins with; null for a pattern without `*`. */
  readonly prefix: string | null;
}

interface Rule {
  readonly strict: Pattern;
  readonly lax: Pattern;
  /** Null is all. HEAD is allowed wherever GET is (RFC 9110 section 9.3.2). */
  readonly methods: ReadonlySet<string> | null;
  readonly access: Access;
}

/** They reflect credentials or open tunnels (RFC 9110 sections 9.3.6 and 9.3.8): never forwarded. */
const NEVER_FORWARDED: ReadonlySet<string> = new Set(["CONNECT", "TRACE"]);

/** Anything the lax reading could differ in: upper case, an escape, a trailing slash, a dot at the end of a segment. */
const MAY_READ_DIFFERENTLY = /[A-Z%]|\/$|\.(?:\/|$)/;

/** The path as the laxest origin reads it: decoded, NFKC, lower case; no query, parameters, trailing dots or slash. */
function laxReading(path: string): string {
  const folded = decodeURIComponent(path).normalize("NFKC").toLowerCase();
  return (
    folded
      .replace(/[?#].*$/s, "")
      .replace(/;[^/]*/g, "")
      // Looking behind keeps it linear: a long run of dots is tried once, not from each of its dots.
      .replace(/(?<![. ])[. ]+(?=\/|$)/g, "")
      .replace(/(?<=.)\/$/, "")
  );
}

function compilePattern(path: string): Pattern {
  if (!path.endsWith("*")) return { exact: path, prefix: null };
  const prefix = path.slice(0, -1);
  return { exact: prefix.length > 1 && prefix.endsWith("/") ? prefix.slice(0, -1) : null, prefix };
}

function compileLaxPattern(path: string): Pattern {
  const { exact, prefix } = compilePattern(path);
  return {
    exact: exact === null ? null : laxReading(exact),
    // A slash at the end belongs to the prefix: without it /api/admin/* would take in /api/administrators.
    prefix: prefix === null ? null : laxReading(prefix) + (prefix.length > 1 && prefix.endsWith("/") ? "/" : ""),
  };
}

function fits(pattern: Pattern, path: string): boolean {
  return pattern.exact === path || (pattern.prefix !== null && path.startsWith(pattern.prefix));
}

function compileRule(rule: RouteRule): Rule {
  const methods = rule.methods === null ? null : new Set(rule.methods);
  if (methods?.has("GET") === true) methods.add("HEAD");
  return {
    strict: compilePattern(rule.path),
    lax: compileLaxPattern(rule.path),
    methods,
    access: Object.freeze({ pattern: rule.path, public: rule.public, roles: rule.roles }),
  };
}

function asksMore(rule: Access, than: Access): boolean {
  return !rule.public && (than.public || rule.roles !== null);
}

const ambiguous = fail({ code: "invalid_request", detail: "The path is another spelling of a different route." });
const notFound = fail({ code: "not_found" });

/** Why nothing fitted: no such path, or the path with other methods (RFC 9110 section 15.5.6). */
function refusal(rules: readonly Rule[], path: string): RouteMatch {
  const allow = new Set<string>();
  for (const rule of rules) {
    if (rule.methods !== null && fits(rule.strict, path)) for (const method of rule.methods) allow.add(method);
  }
  return allow.size === 0 ? notFound : fail({ code: "method_not_allowed", allow: [...allow] });
}

/** Compiles the rules; matching is then a walk over plain string comparisons. */
export function compileRoutes(rules: readonly RouteRule[]): RoutePolicy {
  const compiled = rules.map(compileRule);
  return {
    match(method, path) {
      if (NEVER_FORWARDED.has(method)) return refusal(compiled, path);
      const appliesTo = (rule: Rule): boolean => rule.methods === null || rule.methods.has(method);
      const found = compiled.findIndex((rule) => appliesTo(rule) && fits(rule.strict, path));
      const rule = compiled[found];
      if (rule === undefined) return refusal(compiled, path);
      if (MAY_READ_DIFFERENTLY.test(path)) {
        const lax = laxReading(path);
        const dodged = compiled
          .slice(0, found)
          .some((earlier) => appliesTo(earlier) && fits(earlier.lax, lax) && asksMore(earlier.access, rule.access));
        if (dodged) return ambiguous;
      }
      return ok(rule.access);
    },
  };
}

/** What is wrong with the path of a rule: no request could ever match it, as its own spelling is not the canonical one. */
export function routePathFault(path: string): string | null {
  const literal = path.endsWith("*") ? path.slice(0, -1) : path;
  const canonical = normalisePath(literal);
  if (!canonical.ok) return "holds characters that no forwarded path can hold";
  return canonical.value === literal ? null : `must be written as requests are matched: ${canonical.value}`;
}
