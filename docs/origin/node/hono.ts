// Hono middleware, on Node or in a Worker: c.get("postern") is set, or 401.
//
//   app.use(postern(new Map([["postern-1", Buffer.from(env.ORIGIN_SECRET, "base64")]])));
import { createMiddleware } from "hono/factory";
import { type Keys, type Verified, verifyPostern } from "./verify.ts";

export function postern(keys: Keys) {
  return createMiddleware<{ Variables: { postern: Verified } }>(async (c, next) => {
    const { pathname, search } = new URL(c.req.url);
    const headers = Object.fromEntries(c.req.raw.headers);
    const verified = await verifyPostern(c.req.method, pathname + search, headers, keys).catch(() => null);
    if (verified === null) return c.body(null, 401);
    c.set("postern", verified);
    await next();
    return undefined;
  });
}
