/**
 * Where cookie sessions stand in their life, and the notices that say so: `Deprecation` (RFC 9745), `Sunset` (RFC 8594),
 * and a link to what to do. Pure; times are milliseconds since 1970.
 */

/** Where everything about the change is explained, and the relation under which RFC 9745 links to it. */
export const MIGRATION_PATH = "/docs/migration";
const LINK = `<${MIGRATION_PATH}>; rel="deprecation"`;

export interface Dates {
  readonly sunsetAt: number | null;
  readonly deprecatedAt: number | null;
}

/** Whether sessions are a thing of the past at `now`; without a date they never are. */
export function isPast({ sunsetAt }: Dates, now: number): boolean {
  return sunsetAt !== null && now >= sunsetAt;
}

/** Puts the notices on a response to somebody with a session; `isUpgradable` where tokens can be had for it. */
export function setNotices(headers: Headers, { sunsetAt, deprecatedAt }: Dates, isUpgradable: boolean): void {
  if (deprecatedAt !== null) headers.set("Deprecation", `@${Math.floor(deprecatedAt / 1000)}`);
  if (sunsetAt !== null) headers.set("Sunset", new Date(sunsetAt).toUTCString());
  headers.append("Link", LINK);
  if (isUpgradable) headers.set("Postern-Upgrade", "/auth/exchange");
}
