// Links in the documents: files and anchors exist, images are there, other hosts are few and lasting, and every document
// can be found by following links from README.md or docs/README.md. Nothing is fetched.
import { existsSync, readdirSync, statSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { describe, expect, test } from "vitest";
import { documents, proseOf, readDocument, ROOT, withoutBlocks } from "./samples/markdown.ts";

/** Hosts that may be linked to: those that keep their addresses. */
const LASTING_HOSTS = new Set([
  "cheatsheetseries.owasp.org",
  "csrc.nist.gov",
  "datatracker.ietf.org",
  "developer.mozilla.org",
  "developers.cloudflare.com",
  "github.com",
  "keepachangelog.com",
  "nodejs.org",
  "owasp.org",
  "pages.nist.gov",
  "semver.org",
  "www.cloudflare.com",
  "www.iana.org",
  "www.rfc-editor.org",
]);

/** Addresses of the reader's own: a local server, and hosts of RFC 2606. */
const isExample = (host: string): boolean => /^(127\.0\.0\.1|localhost)$|(^|\.)example(\.com|\.org|\.net)?$/.test(host);

interface Link {
  readonly target: string;
  readonly isImage: boolean;
}

/** Links and images of a document, `[text](target)` and `[text]: target`. */
function linksOf(markdown: string): Link[] {
  const prose = withoutBlocks(markdown).replaceAll(/(?<!\[)`[^`\n]*`/g, "");
  const inline = [...prose.matchAll(/(!?)\[[^\]]*\]\(\s*<?([^)\s>]+)>?(?:\s+"[^"]*")?\s*\)/g)];
  const reference = [...prose.matchAll(/^()\[[^\]]+\]:\s+<?(\S+?)>?$/gm)];
  return [...inline, ...reference].map(([, image, target = ""]) => ({ target, isImage: image === "!" }));
}

/** The anchors GitHub gives the headings of a document: lower case, no punctuation, a number on the second of a name. */
function anchorsOf(markdown: string): Set<string> {
  const seen = new Map<string, number>();
  const anchors = [...withoutBlocks(markdown).matchAll(/^#{1,6} +(.+?) *$/gm)].map(([, heading = ""]) => {
    const text = heading.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1");
    const slug = text
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\p{M} _-]/gu, "")
      .replaceAll(" ", "-");
    const count = seen.get(slug) ?? 0;
    seen.set(slug, count + 1);
    return count === 0 ? slug : `${slug}-${count}`;
  });
  return new Set(anchors);
}

const isAbsolute = (target: string): boolean => /^[a-z][a-z+.-]*:/i.test(target);

/** What a relative link of `file` leads to, from the root of the project, and its anchor. */
function resolved(file: string, target: string): { path: string; anchor: string } {
  const [before = "", anchor = ""] = target.split("#");
  const path = before === "" ? file : normalize(join(dirname(file), decodeURIComponent(before)));
  return { path: path.replace(/\/$/, ""), anchor };
}

/** Why a link of `file` is no good, or null. */
function faultOf(file: string, { target, isImage }: Link): string | null {
  if (target.startsWith("mailto:")) return null;
  if (isAbsolute(target)) {
    const url = URL.parse(target);
    if (url === null) return `${target} is no URL`;
    if (isExample(url.hostname)) return null;
    if (url.protocol !== "https:") return `${target} is not https`;
    return LASTING_HOSTS.has(url.hostname) ? null : `${url.hostname} is not among the lasting hosts`;
  }
  if (target.startsWith("/")) return `${target} starts at the root of a file system`;
  const { path, anchor } = resolved(file, target);
  if (path.startsWith("..") || !existsSync(join(ROOT, path))) return `${target} is not there`;
  if (isImage && !/\.(png|svg|jpg)$/.test(path)) return `${target} is no image`;
  if (anchor === "") return null;
  if (!path.endsWith(".md")) return `${target}: only documents have anchors`;
  return anchorsOf(readDocument(path)).has(anchor) ? null : `${target}: no such heading`;
}

/** Documents a document leads to: those it links, and those in a folder that it links. */
function nextOf(file: string): string[] {
  return linksOf(readDocument(file)).flatMap(({ target }) => {
    if (isAbsolute(target)) return [];
    const { path } = resolved(file, target);
    if (path.endsWith(".md")) return [path];
    const folder = join(ROOT, path);
    if (!existsSync(folder) || !statSync(folder).isDirectory()) return [];
    return readdirSync(folder)
      .filter((name) => name.endsWith(".md"))
      .map((name) => join(path, name));
  });
}

function reachableFrom(start: readonly string[]): Set<string> {
  const found = new Set(start);
  for (const file of found) {
    if (!existsSync(join(ROOT, file))) continue;
    for (const next of nextOf(file)) found.add(next);
  }
  return found;
}

describe("links", () => {
  test.each(documents())("of %s lead somewhere", (file) => {
    const faults = linksOf(readDocument(file)).map((link) => faultOf(file, link));
    expect(faults.filter((fault) => fault !== null)).toEqual([]);
  });

  test.each(documents())("of %s are no bare addresses with a typing error", (file) => {
    const written = [...proseOf(readDocument(file)).matchAll(/\b(?:https?|htps|htpp|hhttp|http?s)[:;]\/[^\s)>\]|]*/gi)];
    const faults = written.map(([address]) => {
      const url = /^https?:\/\/[^/]/.test(address) ? URL.parse(address.replace(/[.,;:]+$/, "")) : null;
      if (url === null) return `${address} is no URL`;
      return isExample(url.hostname) || LASTING_HOSTS.has(url.hostname) ? null : `${url.hostname} is not lasting`;
    });
    expect(faults.filter((fault) => fault !== null)).toEqual([]);
  });
});

test("every document can be found from README.md or docs/README.md", () => {
  const found = reachableFrom(["README.md", "docs/README.md"]);
  expect(documents().filter((file) => file.startsWith("docs/") && !found.has(file))).toEqual([]);
  expect(found.size).toBeGreaterThan(20);
});

test("every image is shown somewhere", () => {
  const shown = new Set(
    documents().flatMap((file) =>
      linksOf(readDocument(file))
        .filter(({ isImage, target }) => isImage && !isAbsolute(target))
        .map(({ target }) => resolved(file, target).path),
    ),
  );
  const images = readdirSync(join(ROOT, "docs/images")).map((name) => `docs/images/${name}`);
  expect(images.filter((image) => !shown.has(image))).toEqual([]);
});
