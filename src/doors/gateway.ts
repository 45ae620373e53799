/**
 * The gateway: every request that no other door answers. Route policy, credential, role, then on to the origin with the
 * identity written and signed. Within a lease nothing is awaited here but one HMAC and the origin.
 */
import { fail, ok, type Result } from "../kit/result.ts";
import type { Runtime } from "../kit/runtime.ts";
import { clientAddress } from "../limits/address.ts";
import type { Forwarder } from "../origin/forward.ts";
import type { Identity } from "../origin/identity.ts";
import { normalisePath, splitTarget } from "../origin/path.ts";
import type { Access, RoutePolicy } from "../origin/route-policy.ts";
import type { BearerGuard, Caller } from "./credentials.ts";
import { type App, render, type RequestContext } from "./endpoint.ts";
import type { VisitorGateway } from "./visitor-gateway.ts";

export interface GatewayDependencies {
  readonly routes: RoutePolicy;
  readonly forwarder: Forwarder;
  readonly guard: BearerGuard;
  readonly runtime: Runtime;
  /** Null: session cookies mean nothing. */
  readonly visitors: VisitorGateway | null;
}

/** Sends the request on its matched route to the origin, in the name of `caller`, or of nobody. */
export type Forward = (request: Request, caller: Caller | null) => Promise<Result<Response>>;

export function gatewayDoor(app: App, { routes, forwarder, guard, runtime, visitors }: GatewayDependencies): void {
  const forwardTo =
    (c: RequestContext, path: string, query: string, access: Access, method: "jwt" | "session"): Forward =>
    async (request, caller) => {
      if (caller !== null && access.roles !== null && !access.roles.includes(caller.role)) {
        return fail({ code: "insufficient_role", roles: access.roles });
      }
      const identity: Identity = caller && {
        userId: caller.userId,
        sessionId: caller.sessionId,
        role: caller.role,
        method,
      };
      return forwarder.forward(request, {
        path,
        query,
        identity,
        requestId: c.var.requestId,
        clientAddress: clientAddress(c.req.raw.headers.get("CF-Connecting-IP")),
        now: runtime.now(),
      });
    };

  const gateway = async (c: RequestContext): Promise<Result<Response>> => {
    const request = c.req.raw;
    const { rawPath, query } = splitTarget(request.url);
    const path = normalisePath(rawPath);
    if (!path.ok) return path;
    const access = routes.match(request.method, path.value);
    if (!access.ok) return access;
    c.set("route", access.value.pattern);
    const cookie = visitors?.cookie(request) ?? null;
    if (visitors !== null && cookie !== null) {
      const forward = forwardTo(c, path.value, query, access.value, "session");
      return ok(await visitors.serve(c, cookie, access.value.public, forward));
    }
    const forward = forwardTo(c, path.value, query, access.value, "jwt");
    if (access.value.public) return forward(request, null);
    const caller = await guard.caller(c);
    if (!caller.ok) return caller;
    visitors?.countCaller(request);
    return forward(request, caller.value);
  };

  app.all("*", async (c) => render(c, await gateway(c)));
}
