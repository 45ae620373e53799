/**
 * Postern on one screen: what every response gets, then the doors in order. What no door answers goes to the gateway.
 */
import { Hono } from "hono/tiny";
import { adminDoor } from "./doors/admin.ts";
import { authDoor } from "./doors/auth.ts";
import { cors } from "./doors/cors.ts";
import { createBearerGuard } from "./doors/credentials.ts";
import type { App, AppEnv } from "./doors/endpoint.ts";
import { gatewayDoor } from "./doors/gateway.ts";
import { legacyDoor } from "./doors/legacy.ts";
import { manners } from "./doors/manners.ts";
import { createSessionGuard } from "./doors/session-guard.ts";
import { createVisitorGateway } from "./doors/visitor-gateway.ts";
import { wellKnownDoor } from "./doors/well-known.ts";
import { describe, log } from "./kit/log.ts";
import { problem } from "./kit/problem.ts";
import type { Services } from "./services.ts";

export function createApp(services: Services): App {
  const { config, tokens, sessions, transition, runtime } = services;
  const guard = createBearerGuard(tokens, sessions);
  const sessionGuard = transition && createSessionGuard(transition, sessions, runtime);
  const app = new Hono<AppEnv>();

  app.onError((error, c) => {
    log({ event: "request.bug", requestId: c.var.requestId, error: describe(error) });
    return problem({ code: "internal_error" }, { issuer: config.issuer, requestId: c.var.requestId });
  });

  app.use(manners(config.issuer, runtime));
  app.use(cors(config.corsOrigins));

  wellKnownDoor(app, services);
  authDoor(app, { ...services, guard, sessionGuard });
  if (sessionGuard !== null) legacyDoor(app, sessionGuard, services);
  adminDoor(app, { ...services, guard });
  gatewayDoor(app, { ...services, guard, visitors: sessionGuard && createVisitorGateway(sessionGuard, config) });

  return app;
}
