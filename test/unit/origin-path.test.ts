import { fc, test as property } from "@fast-check/vitest";
import { describe, expect, test } from "vitest";
import { normalisePath, splitTarget } from "../../src/origin/path.ts";

/** The canonical path, or the code of the refusal. */
function normalised(path: string): string {
  const result = normalisePath(path);
  return result.ok ? result.value : result.failure.code;
}

describe("what is equivalent by RFC 3986 has one spelling", () => {
  test.each([
    ["a plain path stays as it is", "/api/users/42", "/api/users/42"],
    ["the root stays as it is", "/", "/"],
    ["a trailing slash stays", "/api/users/", "/api/users/"],
    ["a file that begins with a dot stays", "/.well-known/x", "/.well-known/x"],
    ["sub-delimiters stay as they are", "/a:b@c!$&'()*+,=", "/a:b@c!$&'()*+,="],
    ["an escaped sub-delimiter stays escaped", "/a%3ab", "/a%3Ab"],
    ["escapes are written in upper case", "/caf%c3%a9", "/caf%C3%A9"],
    ["bytes beyond ASCII are escaped", "/café", "/caf%C3%A9"],
    ["what may not stand unescaped is escaped", '/[x]|^"`', "/%5Bx%5D%7C%5E%22%60"],
    ["needless escapes of unreserved characters are undone", "/%61%70%69/%7Euser", "/api/~user"],
    ["dot segments are removed", "/api/./public/../admin", "/api/admin"],
    ["escaped dot segments are removed", "/api/public/%2e%2E/admin", "/api/admin"],
    ["half-escaped dot segments are removed", "/api/public/.%2e/admin", "/api/admin"],
    ["dot segments do not climb above the root", "/../../api", "/api"],
    ["a dot segment at the end leaves a directory", "/api/public/..", "/api/"],
    ["repeated slashes become one", "//api///users", "/api/users"],
    ["repeated slashes do not shield from a dot segment", "/api/public//../admin", "/api/admin"],
    ["an escaped percent sign that is only that stays", "/100%25/of", "/100%25/of"],
    ["an escaped hash or question mark stays", "/C%23/why%3F", "/C%23/why%3F"],
    ["full-width punctuation is text", "/何？", "/%E4%BD%95%EF%BC%9F"],
  ])("%s", (_name, raw, canonical) => {
    expect(normalised(raw)).toBe(canonical);
  });
});

describe("what can be read in two ways is refused", () => {
  test.each([
    ["an escaped slash", "/api/public%2fadmin"],
    ["a dot segment made with an escaped slash", "/api/public/..%2Fadmin"],
    ["a backslash", "/api/public\\..\\admin"],
    ["an escaped backslash", "/api/public/..%5cadmin"],
    ["a path parameter", "/api/admin;x=1/users"],
    ["a dot segment behind a path parameter", "/api/public/..;/admin"],
    ["an escaped path parameter", "/api/public/..%3b/admin"],
    ["a twice escaped dot segment", "/api/public/%252e%252e/admin"],
    ["a twice escaped slash", "/api/public/..%252fadmin"],
    ["a thrice escaped slash", "/api/public/..%25252fadmin"],
    ["a percent sign escaped for a second decoding", "/api/%25%32%65"],
    ["the %u escapes of IIS", "/api/public/%25u002e%25u002e/admin"],
    ["an overlong slash", "/api/public/..%c0%afadmin"],
    ["an overlong dot", "/api/public/%c0%ae%c0%ae/admin"],
    ["an escaped surrogate", "/api/%ed%a0%80"],
    ["a lone surrogate", "/api/\ud800"],
    ["a truncated UTF-8 sequence", "/api/%c3"],
    ["a continuation byte alone", "/api/%80"],
    ["an escape that is none", "/api/%zz"],
    ["half an escape", "/api/%2"],
    ["a percent sign at the end", "/api/%"],
    ["an escaped NUL", "/api/admin%00.png"],
    ["an escaped line feed", "/api/%0aadmin"],
    ["an escaped DEL", "/api/%7f"],
    ["an escaped C1 control", "/api/%c2%85"],
    ["a raw control character", "/api/\u0001"],
    ["a raw tab, which WHATWG parsing drops", "/api/.\t./admin"],
    ["bytes that were not UTF-8", "/api/\uFFFD"],
    ["three dots", "/api/public/.../admin"],
    ["dots and an escaped space", "/api/public/..%20/admin"],
    ["a segment of spaces", "/api/%20/admin"],
    ["dots before an escaped question mark", "/api/public/..%3F/x"],
    ["dots before an escaped hash", "/api/public/..%23/x"],
    ["full-width dots", "/api/public/\uFF0E\uFF0E/admin"],
    ["a two dot leader", "/api/public/\u2025/admin"],
    ["a full-width slash", "/api/public\uFF0Fadmin"],
    ["a full-width backslash", "/api/public\uFF3Cadmin"],
    ["full-width escapes", "/api/\uFF052e\uFF052e/admin"],
    ["an asterisk", "*"],
    ["nothing", ""],
    ["a relative path", "api/users"],
    ["a query", "/api?x"],
  ])("%s", (_name, raw) => {
    expect(normalised(raw)).toBe("invalid_request");
  });
});

describe("the request target is cut, not parsed", () => {
  test.each([
    ["https://x/a/../b?c=../d", "/a/../b", "?c=../d"],
    ["https://x/a", "/a", ""],
    ["https://x/a?", "/a", "?"],
    ["https://x/a?b?c/d", "/a", "?b?c/d"],
    ["https://x//evil/a", "//evil/a", ""],
    ["https://x/a#b?c", "/a", ""],
    ["https://x?a/b", "", "?a/b"],
    ["https://x*", "", ""],
  ])("%s", (url, rawPath, query) => {
    expect(splitTarget(url)).toEqual({ rawPath, query });
  });
});

/** Mostly the plain piece: a path survives with one twist, not with five. */
function twist(plain: string, ...twists: string[]): fc.Arbitrary<string> {
  return fc.oneof({ weight: 8, arbitrary: fc.constant(plain) }, { weight: 2, arbitrary: fc.constantFrom(...twists) });
}

const separator = twist("/", "//", "\\", "%2f", "%5C", "%252f", "%25%32%66", "\uFF0F", "%c0%af");
const dot = twist(".", "%2e", "%252e", "%25%32%65", "%u002e", "%25u002e", "\uFF0E", "\uFF052e", "%c0%ae");
const tail = twist("", ";", ";x=1", "%3b", "\uFF1B", "%20", "%00", "%23x", "%3Fx", "\uFF1F", ".", "+");
const dots = fc.tuple(fc.array(dot, { minLength: 2, maxLength: 2 }), tail).map(([some, end]) => some.join("") + end);
const word = fc.oneof(
  fc.constantFrom("a", "api", "100%25", "2e", "é", ";"),
  fc.string({ maxLength: 3, unit: "binary" }),
);

/** Paths out of the pieces that attacks are made of. */
const hostile = fc
  .array(fc.tuple(separator, fc.oneof({ weight: 3, arbitrary: dots }, { weight: 1, arbitrary: word })), {
    maxLength: 4,
  })
  .map((segments) => segments.map((segment) => segment.join("")).join(""));

function decodeOnce(path: string): string {
  return path
    .replace(/%u([0-9a-f]{4})/gi, (_all, unit: string) => String.fromCharCode(parseInt(unit, 16)))
    .replace(/(?:%[0-9a-f]{2})+/gi, (run) => new TextDecoder().decode(Uint8Array.fromHex(run.replaceAll("%", ""))));
}

/** A path as the most obliging origin ends up with it: everything decoded, folded, trimmed and resolved. */
function obliging(path: string): string {
  let text = path;
  for (let round = 0; round < 4; round++) text = decodeOnce(text).normalize("NFKC").replaceAll("\\", "/");
  const kept: string[] = [];
  for (const raw of text.replace(/[?#].*$/s, "").split("/")) {
    const segment = raw
      .replace(/;.*$/s, "")
      .replace(/(?<=.) +$/, "")
      .replace(/\0.*$/s, "");
    if (segment === "..") kept.pop();
    else if (segment !== "" && !/^[. ]+$/.test(segment)) kept.push(segment);
  }
  return `/${kept.join("/")}`;
}

describe("for every path there is", () => {
  property.prop([fc.oneof(hostile, fc.string(), fc.string({ unit: "binary" }))], { numRuns: 2000 })(
    "it never throws, and what it returns is a fixed point of itself and of WHATWG parsing",
    (raw) => {
      const result = normalisePath(raw);
      if (!result.ok) return;
      expect(normalisePath(result.value)).toEqual(result);
      expect(new URL(`https://x${result.value}`).pathname).toBe(result.value);
      expect(new URL(`https://x${result.value}?q`).pathname).toBe(result.value);
    },
  );

  property.prop([hostile], { numRuns: 3000 })(
    "a path under a prefix stays under it, however often the origin decodes, folds and resolves",
    (rest) => {
      const result = normalisePath(`/api/public${rest}`);
      if (!result.ok || !result.value.startsWith("/api/public/")) return;
      expect(`${obliging(result.value)}/`).toMatch(/^\/api\/public\//);
    },
  );

  property.prop([fc.array(fc.stringMatching(/^[\w~-][\w.~!$&'()*+,=:@-]*$/), { minLength: 1 })])(
    "a path of plain segments comes back byte for byte",
    (segments) => {
      expect(normalised(`/${segments.join("/")}`)).toBe(`/${segments.join("/")}`);
    },
  );
});
