/**
 * What every response carries, whoever made it: a request id, the transport and sniffing headers, and the state of the
 * limit the request was counted against. What the origin said of its own pages stands.
 */
import type { MiddlewareHandler } from "hono";
import { uuidV7 } from "../kit/encoding.ts";
import { setLimitHeaders } from "../kit/problem.ts";
import type { Runtime } from "../kit/runtime.ts";
import type { AppEnv } from "./endpoint.ts";

const SANE_REQUEST_ID = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/;

const SECURITY_HEADERS = {
  "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
  "X-Content-Type-Options": "nosniff",
  "Referrer-Policy": "no-referrer",
};

/** The id of a request: the client's if it is sane, else a new one. */
export function requestIdOf(request: Request, runtime: Runtime): string {
  const inbound = request.headers.get("X-Request-Id");
  return inbound !== null && SANE_REQUEST_ID.test(inbound) ? inbound : uuidV7(runtime.now(), runtime.randomBytes(10));
}

/** Puts the id and the security headers on a response whose headers can still be changed. */
export function setManners(headers: Headers, requestId: string): void {
  headers.set("X-Request-Id", requestId);
  for (const [name, value] of Object.entries(SECURITY_HEADERS)) {
    if (!headers.has(name)) headers.set(name, value);
  }
}

export function manners(issuer: string, runtime: Runtime): MiddlewareHandler<AppEnv> {
  return async function mannersMiddleware(c, next) {
    c.set("requestId", requestIdOf(c.req.raw, runtime));
    c.set("issuer", issuer);
    await next();
    setManners(c.res.headers, c.var.requestId);
    if (c.var.limit !== undefined) setLimitHeaders(c.res.headers, c.var.limit);
  };
}
