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
import type { BearerGuard } from "./credentials.ts";
import { type App, type Handler, render } from "./endpoint.ts";

export interface GatewayDependencies {
  readonly routes: RoutePolicy;
  readonly forwarder: Forwarder;
  readonly guard: BearerGuard;
  readonly runtime: Runtime;
}

export function gatewayDoor(app: App, { routes, forwarder, guard, runtime }: GatewayDependencies): void {
  /** Who may pass: nobody in particular on a public route, else a caller with one of the roles asked for. */
  const admit = async (request: Request, access: Access): Promise<Result<Identity>> => {
    if (access.public) return ok(null);
    const caller = await guard.caller(request);
    if (!caller.ok) return caller;
    const { userId, sessionId, role } = caller.value;
    if (access.roles !== null && !access.roles.includes(role)) {
      return fail({ code: "insufficient_role", roles: access.roles });
    }
    return ok({ userId, sessionId, role, method: "jwt" });
  };

  const gateway: Handler = async (c) => {
    const request = c.req.raw;
    const { rawPath, query } = splitTarget(request.url);
    const path = normalisePath(rawPath);
    if (!path.ok) return path;
    const access = routes.match(request.method, path.value);
    if (!access.ok) return access;
    const identity = await admit(request, access.value);
    if (!identity.ok) return identity;
    return forwarder.forward(request, {
      path: path.value,
      query,
      identity: identity.value,
      requestId: c.var.requestId,
      clientAddress: clientAddress(request.headers.get("CF-Connecting-IP")),
      now: runtime.now(),
    });
  };

  app.all("*", async (c) => render(c, await gateway(c)));
}
