// The banner: into whose pages it goes, into what not, and how it is dismissed.
import { describe, expect, test } from "vitest";
import { cookieOf, createUser, Edge, loggedIn, type Overrides, PASSWORD } from "./support.ts";

const PAGE = "<!DOCTYPE html><html><head><title>t</title></head><body class=x><p>hello</p></body></html>";
const HTML = { "Content-Type": "text/html; charset=utf-8" };
const BROWSER = { Accept: "text/html,application/xhtml+xml", "Sec-Fetch-Dest": "document" };

let seen: Request | undefined;

/** An edge in front of an origin that answers `answer`. */
const before = (answer: () => Response, overrides: Overrides = {}) =>
  new Edge({
    SESSION_AUTH: "on",
    SESSION_SUNSET: "2027-03-31",
    TRANSITION_FLUSH_SECONDS: "0",
    ROUTES: '[{"path":"/public/*","public":true},{"path":"/*"}]',
    ORIGIN: {
      fetch: async (request: Request) => {
        seen = request;
        return answer();
      },
    },
    ...overrides,
  });

async function sessionAt(edge: Edge): Promise<string> {
  const { username } = await createUser();
  const response = await edge.fetch("/api/login", { json: { username, password: PASSWORD } });
  return `session_id=${cookieOf(response, "session_id")}`;
}

async function pageAt(edge: Edge, headers: Record<string, string> = {}, path = "/page", method = "GET") {
  const Cookie = [await sessionAt(edge), headers["Cookie"]].filter(Boolean).join("; ");
  return edge.fetch(path, { method, headers: { ...BROWSER, ...headers, Cookie } });
}

describe("the banner", () => {
  test("comes first in the body of an HTML page of somebody on a session", async () => {
    const response = await pageAt(
      before(() => new Response(PAGE, { headers: HTML })),
      {},
      "/page?a=1&b=2",
    );
    const text = await response.text();
    expect(text).toMatch(
      /<body class=x><div class="postern-banner" role="region" aria-label="[^"]+" lang="en" dir="ltr">/,
    );
    expect(text).toContain('<time datetime="2027-03-31">31 March 2027</time>');
    expect(text).toContain('<a href="/docs/migration">');
    expect(text).toMatch(/<\/div><p>hello<\/p>/);
    expect(text.match(/postern-banner"/g)).toHaveLength(1);
    expect(text).not.toMatch(/<script|<style|style=|onclick/);
    expect(response.headers.get("Cache-Control")).toBe("private, no-cache");
    expect(response.headers.get("Sunset")).not.toBeNull();
  });

  test("takes the fields about the bytes with it, and asks the origin for bytes it can read", async () => {
    const headers = {
      ...HTML,
      "Content-Length": String(PAGE.length),
      ETag: '"x"',
      "Last-Modified": "Mon, 01 Jan 2024 00:00:00 GMT",
      "Cache-Control": "no-store",
    };
    const edge = before(() => new Response(PAGE, { headers }));
    const response = await pageAt(edge, { "Accept-Encoding": "gzip, br" });
    expect(seen?.headers.get("Accept-Encoding")).toBe("identity");
    for (const name of ["Content-Length", "ETag", "Last-Modified"]) expect(response.headers.has(name)).toBe(false);
    expect(response.headers.get("Cache-Control")).toBe("no-store");
    expect((await response.text()).length).toBeGreaterThan(PAGE.length);
  });

  test("is streamed: the page begins before the origin has ended it", async () => {
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    const writer = writable.getWriter();
    const encode = (text: string) => new TextEncoder().encode(text);
    const response = await pageAt(before(() => new Response(readable, { headers: HTML })));
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    const first = writer.write(encode("<html><body><p>one</p>"));
    let text = "";
    while (!text.includes("one")) text += (await reader?.read())?.value ?? "";
    expect(text).toContain("postern-banner");
    await first;
    await Promise.all([
      writer.write(encode("<p>two</p></body><body></html>")),
      writer.close(),
      (async () => {
        for (let part = await reader?.read(); part?.done === false; part = await reader?.read()) text += part.value;
      })(),
    ]);
    expect(text).toContain("two");
    expect(text.match(/<div class="postern-banner"/g)).toHaveLength(1);
  });

  test.each<[string, () => Response, Record<string, string>?, string?]>([
    ["JSON", () => Response.json({ html: PAGE })],
    ["XHTML", () => new Response(PAGE, { headers: { "Content-Type": "application/xhtml+xml" } })],
    ["a compressed page", () => new Response(PAGE, { headers: { ...HTML, "Content-Encoding": "x-zstd" } })],
    ["a part of a page", () => new Response(PAGE, { status: 206, headers: HTML }), { Range: "bytes=0-9" }],
    ["a part nobody asked for", () => new Response(PAGE, { status: 206, headers: HTML })],
    ["a page not modified", () => new Response(null, { status: 304, headers: HTML })],
    ["the answer to a HEAD", () => new Response(null, { headers: HTML }), {}, "HEAD"],
    ["a file to save", () => new Response(PAGE, { headers: { ...HTML, "Content-Disposition": "attachment" } })],
    ["what a script fetched", () => new Response(PAGE, { headers: HTML }), { "Sec-Fetch-Dest": "empty" }],
    ["what was not asked for as a page", () => new Response(PAGE, { headers: HTML }), { Accept: "*/*" }],
    [
      "a page whose reader has dismissed it",
      () => new Response(PAGE, { headers: HTML }),
      { Cookie: "postern_banner=dismissed" },
    ],
  ])("does not go into %s", async (_, answer, headers = {}, method = "GET") => {
    const response = await pageAt(before(answer), headers, "/page", method);
    const expected = await answer().text();
    expect(await response.text()).toBe(method === "HEAD" ? "" : expected);
  });

  test("is not for those with a token, nor for those with neither", async () => {
    const edge = before(() => new Response(PAGE, { headers: HTML }));
    const { tokens } = await loggedIn(edge);
    const Cookie = await sessionAt(edge);
    const withToken = await edge.fetch("/page", { bearer: tokens.access_token, headers: { ...BROWSER, Cookie } });
    expect(await withToken.text()).toBe(PAGE);
    expect(await (await edge.fetch("/public/", { headers: BROWSER })).text()).toBe(PAGE);
  });

  test("is shown on a public page to whom it concerns, who stays nobody to the origin", async () => {
    const edge = before(() => new Response(PAGE, { headers: HTML }));
    const response = await pageAt(edge, {}, "/public/");
    expect(await response.text()).toContain("postern-banner");
    expect(seen?.headers.has("X-User-Id")).toBe(false);
    const stranger = await edge.fetch("/public/", { headers: { ...BROWSER, Cookie: `session_id=${"x".repeat(43)}` } });
    expect(await stranger.text()).toBe(PAGE);
    expect(stranger.headers.has("Sunset")).toBe(false);
    const data = before(() => Response.json({}));
    expect(await (await pageAt(data, {}, "/public/")).json()).toEqual({});
  });

  test("can be worded, whatever the words, and switched off", async () => {
    const page = () => new Response(PAGE, { headers: HTML });
    const worded = await (
      await pageAt(before(page, { SESSION_BANNER: 'Abschied am {date}: <b onclick="x">Grüße 🚪</b>' }))
    ).text();
    expect(worded).toContain("Abschied am <time");
    expect(worded).not.toContain("<b onclick");
    expect(worded).toContain("Gr&#252;&#223;e &#128682;");
    const undated = await (await pageAt(before(page, { SESSION_SUNSET: undefined, SESSION_BANNER: "on" }))).text();
    expect(undated).toContain("before the change");
    expect(await (await pageAt(before(page, { SESSION_BANNER: "off" }))).text()).toBe(PAGE);
  });

  test("brings a style of its own, and is dismissed by a form that leads back to the page", async () => {
    const edge = before(() => new Response(PAGE, { headers: HTML }));
    const style = await edge.fetch("/_postern/banner.css");
    expect(style.headers.get("Content-Type")).toBe("text/css; charset=utf-8");
    expect(await style.text()).toContain(".postern-banner");
    const text = await (await pageAt(edge, {}, "/page?a=1&b=%2F")).text();
    const action = (/action="([^"]+)"/.exec(text)?.[1] ?? "").replaceAll(/&#(\d+);/g, (_, code) =>
      String.fromCodePoint(Number(code)),
    );
    const dismissed = await edge.fetch(action, { method: "POST" });
    expect(dismissed.status).toBe(303);
    expect(dismissed.headers.get("Location")).toBe("/page?a=1&b=%2F");
    expect(cookieOf(dismissed, "postern_banner")).toBe("dismissed");
    for (const to of [
      "https://evil.example/x",
      "//evil.example",
      "/\\evil.example",
      "javascript:alert(1)",
      "http://[",
    ]) {
      const response = await edge.fetch(`/_postern/banner?to=${encodeURIComponent(to)}`, { method: "POST" });
      expect(response.headers.get("Location")).toBe("/");
    }
    expect((await edge.fetch("/_postern/banner", { method: "POST" })).headers.get("Location")).toBe("/");
  });
});
