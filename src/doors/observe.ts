/**
 * What is known of every request afterwards: one line in the log, one data point where `EVENTS` is bound, and a
 * `Server-Timing` field where it is asked for. Times are wall clock up to the head of the response; in production the
 * clock stands still while a request computes, so they are mostly what it waited for.
 */
import type { MiddlewareHandler } from "hono";
import type { Config } from "../kit/config.ts";
import { log, type RequestEntry } from "../kit/log.ts";
import { type Cost, COSTS, metered } from "../kit/meter.ts";
import type { Runtime } from "../kit/runtime.ts";
import type { AppEnv } from "./endpoint.ts";

/** The part of an Analytics Engine dataset that is used; writing neither waits nor fails. */
export type Events = Pick<AnalyticsEngineDataset, "writeDataPoint">;

/** `Server-Timing` (W3C): the milliseconds, and each cost as a description. */
function serverTiming({ ms }: RequestEntry, costs: Readonly<Record<Cost, number>>): string {
  return [`total;dur=${ms}`, ...COSTS.map((cost) => `${cost};desc="${costs[cost]}"`)].join(", ");
}

export function observe(
  { logRequests, serverTiming: isTimed }: Pick<Config, "logRequests" | "serverTiming">,
  events: Events | null,
  runtime: Runtime,
): MiddlewareHandler<AppEnv> {
  return function observeMiddleware(c, next) {
    return metered(async (meter) => {
      const startedAt = runtime.now();
      await next();
      const { requestId, userId = null, route = null, code } = c.var;
      const { status } = c.res;
      const ms = runtime.now() - startedAt;
      const method = c.req.method;
      const entry: RequestEntry = {
        event: "request",
        requestId,
        method,
        route,
        status,
        userId,
        ms,
        ...meter,
        ...(code !== undefined && { code }),
      };
      if (logRequests === "all" || (logRequests === "failed" && status >= 400)) log(entry);
      events?.writeDataPoint({
        indexes: [route ?? "none"],
        blobs: [route ?? "none", method, String(status), code ?? ""],
        doubles: [ms, ...COSTS.map((cost) => meter[cost])],
      });
      if (isTimed) c.res.headers.set("Server-Timing", serverTiming(entry, meter));
    });
  };
}
