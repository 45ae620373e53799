/**
 * CORS (WHATWG Fetch) for the exact origins configured, with credentials; for everyone else as if it did not exist.
 */
import type { MiddlewareHandler } from "hono";
import type { AppEnv } from "./endpoint.ts";

const PREFLIGHT_CACHE_SECONDS = 7200;
const METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE";
const DEFAULT_HEADERS = "Authorization, Content-Type, Idempotency-Key";
/** What a script may read of a response beyond the safelisted fields. */
const EXPOSED_HEADERS =
  "X-Request-Id, Postern-Refresh, Postern-Upgrade, Deprecation, Sunset, Link, Retry-After, RateLimit, RateLimit-Policy, WWW-Authenticate";

export function cors(origins: readonly string[]): MiddlewareHandler<AppEnv> {
  const allowed = new Set(origins);
  return async function corsMiddleware(c, next) {
    const origin = c.req.header("Origin");
    const isAllowed = origin !== undefined && allowed.has(origin);
    if (isAllowed && c.req.method === "OPTIONS" && c.req.header("Access-Control-Request-Method") !== undefined) {
      c.res = new Response(null, {
        status: 204,
        headers: {
          "Access-Control-Allow-Methods": METHODS,
          "Access-Control-Allow-Headers": c.req.header("Access-Control-Request-Headers") ?? DEFAULT_HEADERS,
          "Access-Control-Max-Age": String(PREFLIGHT_CACHE_SECONDS),
        },
      });
    } else {
      await next();
    }
    if (allowed.size > 0) c.res.headers.append("Vary", "Origin");
    if (!isAllowed) return;
    c.res.headers.set("Access-Control-Allow-Origin", origin);
    c.res.headers.set("Access-Control-Allow-Credentials", "true");
    c.res.headers.set("Access-Control-Expose-Headers", EXPOSED_HEADERS);
  };
}
