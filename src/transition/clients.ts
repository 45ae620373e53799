/**
 * The family of a client by its User-Agent: coarse on purpose, since it is a key of the figures and answers one question
 * only, which client still has to change. Pure.
 */

/** Browsers, by the word that only they (or their siblings) use; the first that fits. */
const BROWSERS: readonly (readonly [word: string, family: string])[] = [
  ["Edg", "Edge"],
  ["OPR/", "Opera"],
  ["Firefox/", "Firefox"],
  ["FxiOS/", "Firefox"],
  ["Chrome/", "Chrome"],
  ["CriOS/", "Chrome"],
  ["Safari/", "Safari"],
];

/** `Firefox`, `curl`, `python-requests`, `MyApp`: a browser, or else the first product named; `unknown` without any. */
export function clientFamily(userAgent: string): string {
  if (userAgent.startsWith("Mozilla/")) {
    return BROWSERS.find(([word]) => userAgent.includes(word))?.[1] ?? "browser";
  }
  return /^[A-Za-z][A-Za-z0-9._-]{0,31}/.exec(userAgent)?.[0] ?? "unknown";
}
