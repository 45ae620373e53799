/**
 * The banner in HTML pages of users who are still on a session: what it is, where it may go, how it gets there. Streamed
 * into the page by HTMLRewriter; no inline script or style, so that a strict Content-Security-Policy allows it: the
 * style is a file of ours, and dismissing is a form. Where a policy forbids even those, a plain paragraph is left.
 */

export const BANNER_STYLE_PATH = "/_postern/banner.css";
export const BANNER_DISMISS_PATH = "/_postern/banner";
/** Set by whoever has read it. */
export const DISMISSED_COOKIE = "postern_banner";
export const DISMISSED_SECONDS = 7 * 86_400;

export const BANNER_STYLE = `.postern-banner{display:flex;flex-wrap:wrap;align-items:center;gap:.5rem 1rem;padding:.75rem 1rem;background:#fff4ce;color:#1b1b1b;border-bottom:2px solid #8a6d00;font:1rem/1.5 system-ui,sans-serif}
.postern-banner p{margin:0;flex:1 1 20rem}
.postern-banner a{color:#00408a}
.postern-banner button{font:inherit;color:inherit;background:#fff;border:1px solid #1b1b1b;border-radius:.25rem;padding:.25rem .75rem;cursor:pointer}
.postern-banner :focus-visible{outline:3px solid #00408a;outline-offset:2px}
@media print{.postern-banner{display:none}}
`;

/** Safe in text and in quoted attributes, in any ASCII-compatible encoding of the page around it. */
function escapeHtml(text: string): string {
  return Array.from(text, (character) =>
    /[A-Za-z0-9 .,:;!?/()=_-]/.test(character) ? character : `&#${character.codePointAt(0)};`,
  ).join("");
}

/**
 * The banner for a page.
 * @param text `{date}` stands for the sunset
 * @param page path and query to come back to after dismissing
 */
export function bannerHtml(text: string, sunsetAt: number | null, page: string, migrationPath: string): string {
  const day = sunsetAt === null ? null : new Date(sunsetAt);
  const long = day?.toLocaleDateString("en-GB", { day: "numeric", month: "long", year: "numeric", timeZone: "UTC" });
  const time = day === null ? "the change" : `<time datetime="${day.toISOString().slice(0, 10)}">${long}</time>`;
  const words = text.split("{date}").map(escapeHtml).join(time);
  const action = escapeHtml(`${BANNER_DISMISS_PATH}?to=${encodeURIComponent(page)}`);
  return (
    `<div class="postern-banner" role="region" aria-label="Notice about signing in" lang="en" dir="ltr">` +
    `<link rel="stylesheet" href="${BANNER_STYLE_PATH}"><p>${words} <a href="${migrationPath}">What changes</a></p>` +
    `<form method="post" action="${action}"><button type="submit" aria-label="Dismiss this notice">Dismiss</button></form></div>`
  );
}

/** Whether the response to `request` may be a page that a person will look at, as far as the request tells. */
export function wantsPage(request: Request): boolean {
  const { headers } = request;
  const destination = headers.get("Sec-Fetch-Dest");
  return (
    request.method === "GET" &&
    (destination === null || destination === "document") &&
    !headers.has("Range") &&
    headers.get("Accept")?.includes("text/html") === true
  );
}

/** Whether `response` is an HTML page, whole and readable: neither partial, nor compressed, nor a file to save. */
export function isPage({ status, headers, body }: Response): boolean {
  const coding = headers.get("Content-Encoding") ?? "identity";
  return (
    body !== null &&
    status !== 206 &&
    /^text\/html\s*(?:;|$)/i.test(headers.get("Content-Type") ?? "") &&
    coding === "identity" &&
    !/^\s*attachment/i.test(headers.get("Content-Disposition") ?? "")
  );
}

/** Fields about the bytes as they were before the banner. */
const ABOUT_THE_BYTES = [
  "Content-Length",
  "ETag",
  "Last-Modified",
  "Accept-Ranges",
  "Content-MD5",
  "Content-Digest",
  "Repr-Digest",
  "Digest",
];

/** The page with the banner first in its body. It is for this user and this moment: nobody keeps it. */
export function withBanner(page: Response, html: string): Response {
  let isPlaced = false;
  const response = new HTMLRewriter()
    .on("body", {
      element(body) {
        if (!isPlaced) body.prepend(html, { html: true });
        isPlaced = true;
      },
    })
    .transform(page);
  for (const name of ABOUT_THE_BYTES) response.headers.delete(name);
  const cacheControl = response.headers.get("Cache-Control");
  if (cacheControl?.includes("no-store") !== true) response.headers.set("Cache-Control", "private, no-cache");
  return response;
}
