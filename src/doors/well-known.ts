/**
 * What anybody may read: the public keys, whether Postern is alive and ready, and what an error code means.
 */
import { toBase64Url, utf8 } from "../kit/encoding.ts";
import type { FailureCode } from "../kit/failure.ts";
import { PROBLEMS } from "../kit/problem.ts";
import { fail, ok, type Result } from "../kit/result.ts";
import { sha256 } from "../kit/secrets.ts";
import type { Keyring } from "../tokens/keyring.ts";
import { type App, endpoint, type Handler, json } from "./endpoint.ts";

/** Shorter than the lead with which a key is published before it signs. */
const JWKS_CACHE_SECONDS = 300;

export interface WellKnownDependencies {
  readonly keyring: Keyring;
  /** Whether D1 answers. */
  readonly checkDatabase: () => Promise<Result<unknown>>;
}

/** Whether an If-None-Match value names `etag` (RFC 9110 section 13.1.2: weak comparison). */
function matches(ifNoneMatch: string | undefined, etag: string): boolean {
  if (ifNoneMatch === undefined) return false;
  return ifNoneMatch.split(",").some((candidate) => ["*", etag].includes(candidate.trim().replace(/^W\//, "")));
}

function isCode(code: string): code is FailureCode {
  return Object.hasOwn(PROBLEMS, code);
}

export function wellKnownDoor(app: App, { keyring, checkDatabase }: WellKnownDependencies): void {
  const jwks: Handler = async (c) => {
    const keys = await keyring.published();
    if (!keys.ok) return keys;
    const body = JSON.stringify({ keys: keys.value });
    const etag = `"${toBase64Url(await sha256(utf8(body))).slice(0, 22)}"`;
    const headers = {
      "Content-Type": "application/jwk-set+json; charset=utf-8",
      "Cache-Control": `public, max-age=${JWKS_CACHE_SECONDS}`,
      ETag: etag,
    };
    return ok(
      matches(c.req.header("If-None-Match"), etag)
        ? new Response(null, { status: 304, headers })
        : new Response(body, { headers }),
    );
  };

  const healthz: Handler = async () => ok(json({ status: "ok" }));

  const readyz: Handler = async () => {
    const [database, keys] = await Promise.all([checkDatabase(), keyring.signingKey()]);
    const failed = [...(database.ok ? [] : ["database"]), ...(keys.ok ? [] : ["keys"])];
    return ok(failed.length === 0 ? json({ status: "ok" }) : json({ status: "unavailable", failed }, 503));
  };

  const problemPage: Handler = async (c) => {
    const code = c.req.param("code") ?? "";
    if (!isCode(code)) return fail({ code: "not_found" });
    const { status, title } = PROBLEMS[code];
    const body = `${code}\n\nHTTP status ${status}. ${title}.\n`;
    return ok(new Response(body, { headers: { "Content-Type": "text/plain; charset=utf-8" } }));
  };

  endpoint(app, "/.well-known/jwks.json", { GET: jwks });
  endpoint(app, "/healthz", { GET: healthz });
  endpoint(app, "/readyz", { GET: readyz });
  endpoint(app, "/problems/:code", { GET: problemPage });
}
