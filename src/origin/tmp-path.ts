/**
 * The path as it is matched and forwarded: one canonical spelling, or a refusal. Not routing (route-policy.ts), and not
 * the query, which passes as it came.
 *
 * It starts from `request.url` as the runtime delivers it. workerd leaves the request target there as it was on the wire
 * (`/a/../b`, `%2e%2e` and backslashes included), while `new URL()` and `new Request()` rewrite it by the WHATWG rules;
 * hence {@link splitTarget} cuts the string instead of parsing it. Cloudflare's own URL normalisation, where switched on,
 * merely runs before and leaves less to do. What comes out is a fixed point of WHATWG parsing: nothing changes it again
 * on its way to the origin.
 *
 * Whatever RFC 3986 section 6.2.2 calls equivalent is brought to one spelling: case of escapes, needlessly escaped
 * unreserved characters, dot segments; repeated slashes become one. Whatever one server reads differently from the next
 * is refused: escaped slashes, backslashes, `;`, control characters, escapes of escapes, what is not UTF-8, and
 * characters that turn into one of these under Unicode compatibility folding.
 */
import { fail, ok, type Result } from "../kit/result.ts";

/** The request target cut in two, both parts as they were on the wire. */
export interface Target {
  /** Empty in asterisk-form (`OPTIONS *`), which {@link normalisePath} refuses. */
  readonly rawPath: string;
  /** With its leading `?`; empty when absent. */
  readonly query: string;
}

/** Cuts path and query out of an absolute URL without interpreting either. */
export function splitTarget(url: string): Target {
  const authority = url.indexOf("://") + 3;
  const fragment = url.indexOf("#", authority);
  const whole = fragment === -1 ? url : url.slice(0, fragment);
  const question = whole.indexOf("?", authority);
  const end = question === -1 ? whole.length : question;
  const slash = whole.indexOf("/", authority);
  return { rawPath: slash === -1 || slash > end ? "" : whole.slice(slash, end), query: whole.slice(end) };
}

/** Already canonical: `pchar` without escapes or `;`, and no segment that is empty or begins with a dot. */
const PLAIN = /^(?:\/[A-Za-z0-9_~!$&'()*+,=:@-][A-Za-z0-9._~!$&'()*+,=:@-]*)+\/?$|^\/$/;
const ESCAPE = /%[0-9A-Fa-f]{2}/g;
const UNRESERVED = /^[A-Za-z0-9._~-]$/;
/** What RFC 3986 does not let stand unescaped in a path. */
const NOT_PCHAR = /[^A-Za-z0-9\-._~!$&'()*+,;=:@/%]/gu;
/** `\`, `;`, `?`, `#`, C0, DEL and C1 controls, and the mark the runtime leaves for bytes that were not UTF-8. */
// oxlint-disable-next-line no-control-regex -- control characters are what it looks for
const FORBIDDEN = /[\\;?#\u0000-\u001F\u007F-\u009F\uFFFD]/;
/** The escapes of `/`, `\`, `;`, of controls and of U+FFFD; and `%25` where decoding twice would find another escape. */
const AMBIGUOUS = /%(?:2F|5C|3B|[01][0-9A-F]|7F|C2%[89][0-9A-F]|EF%BF%BD|25(?:[0-9A-Fa-f]{2}|[uU]))/;
/** Not a dot segment by the letter, but one for a server that drops trailing spaces, or decodes `?` before it parses. */
const DOTS_AND_SPACES = /^(?:\.|%20)+(?:%3F|$)/;
const NON_ASCII = /%[89A-F]/;
/** What no decoded canonical path holds: a backslash, an escape, a dot segment. */
const STRUCTURE = /\\|%[0-9A-Fa-f]{2}|(?:^|\/)[. ]+(?:[/;?#]|$)/;

const refused = fail({
  code: "invalid_request",
  detail: "The path can be read in more than one way: send it without escaped delimiters, backslashes or semicolons.",
});

function canonicalEscape(escape: string): string {
  const character = String.fromCharCode(parseInt(escape.slice(1), 16));
  return UNRESERVED.test(character) ? character : escape.toUpperCase();
}

function isUtf8(path: string): boolean {
  try {
    decodeURIComponent(path);
    return true;
  } catch {
    return false;
  }
}

/** Whether a server that folds to NFKC, as some frameworks and file systems do, would find new structure in the path. */
function foldsToStructure(path: string): boolean {
  const text = decodeURIComponent(path);
  const folded = text.normalize("NFKC");
  return folded.split("/").length !== text.split("/").length || STRUCTURE.test(folded);
}

/** RFC 3986 section 5.2.4 on a path without empty segments; null for a segment that only looks like another name. */
function removeDotSegments(path: string): string | null {
  const kept: string[] = [];
  const segments = path.slice(1).split("/");
  for (const segment of segments) {
    if (segment === "..") kept.pop();
    else if (segment !== "." && segment !== "") {
      if (DOTS_AND_SPACES.test(segment)) return null;
      kept.push(segment);
    }
  }
  const last = segments.at(-1);
  const isDirectory = last === "" || last === "." || last === "..";
  return kept.length === 0 ? "/" : `/${kept.join("/")}${isDirectory ? "/" : ""}`;
}

/**
 * The one canonical spelling of a path, to be matched and forwarded; `invalid_request` if it has no single reading.
 * Idempotent, never throws.
 */
export function normalisePath(rawPath: string): Result<string> {
  if (PLAIN.test(rawPath)) return ok(rawPath);
  if (!rawPath.startsWith("/") || !rawPath.isWellFormed() || FORBIDDEN.test(rawPath) || !isUtf8(rawPath))
    return refused;
  const escaped = rawPath.replace(ESCAPE, canonicalEscape).replace(NOT_PCHAR, encodeURIComponent);
  if (AMBIGUOUS.test(escaped)) return refused;
  const path = removeDotSegments(escaped.replace(/\/{2,}/g, "/"));
  if (path === null || (NON_ASCII.test(path) && foldsToStructure(path))) return refused;
  return ok(path);
}
