/** PROVISIONAL */
import { fail, ok } from "../kit/result.ts";
import type { BearerGuard } from "./credentials.ts";
import { type App, type Handler, render } from "./endpoint.ts";

export interface GatewayDependencies {
  readonly guard: BearerGuard;
  readonly fetchOrigin: (request: Request) => Promise<Response>;
}

export function gatewayDoor(app: App, { guard, fetchOrigin }: GatewayDependencies): void {
  const forward: Handler = async (c) => {
    if (!c.req.path.startsWith("/api/")) return fail({ code: "not_found" });
    const caller = await guard.caller(c.req.raw);
    if (!caller.ok) return caller;
    const response = await fetchOrigin(c.req.raw);
    return ok(new Response(response.body, response));
  };
  app.all("*", async (c) => render(c, await forward(c)));
}
