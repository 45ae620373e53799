/**
 * Postern on one screen: what every response gets, then the doors in order. What no door answers goes to the gateway.
 */
import { Hono } from "hono/tiny";
import { adminDoor } from "./doors/admin.ts";
import { createAsAdmin } from "./doors/admin-guard.ts";
import { adminTransitionDoor } from "./doors/admin-transition.ts";
import { authDoor } from "./doors/auth.ts";
import { cors } from "./doors/cors.ts";
import { createBearerGuard } from "./doors/credentials.ts";
import { type App, type AppEnv, render } from "./doors/endpoint.ts";
import { gatewayDoor } from "./doors/gateway.ts";
import { legacyDoor } from "./doors/legacy.ts";
import { manners } from "./doors/manners.ts";
import { observe } from "./doors/observe.ts";
import { createPasswordGuard } from "./doors/password-guard.ts";
import { createRecorder } from "./doors/record.ts";
import { createSessionGuard } from "./doors/session-guard.ts";
import { createVisitorGateway } from "./doors/visitor-gateway.ts";
import { wellKnownDoor } from "./doors/well-known.ts";
import { describe, log } from "./kit/log.ts";
import { fail } from "./kit/result.ts";
import type { Services } from "./services.ts";

export function createApp(services: Services): App {
  const { config, accounts, tokens, sessions, limits, transition, audit, runtime } = services;
  const record = createRecorder(audit);
  const guard = createBearerGuard(tokens, sessions);
  const passwords = createPasswordGuard(accounts, limits, record);
  const sessionGuard = transition && createSessionGuard(transition, sessions, record, runtime);
  const app = new Hono<AppEnv>();

  app.onError((error, c) => {
    log({ event: "request.bug", requestId: c.var.requestId, error: describe(error) });
    return render(c, fail({ code: "internal_error" }));
  });

  app.use(observe(config, services.events, runtime));
  app.use(manners(config.issuer, runtime));
  app.use(cors(config.corsOrigins));

  wellKnownDoor(app, services);
  authDoor(app, { ...services, guard, passwords, sessionGuard, record });
  if (sessionGuard !== null) legacyDoor(app, sessionGuard, { ...services, passwords });
  const asAdmin = createAsAdmin(guard, limits, config.limits.auth);
  adminDoor(app, { ...services, asAdmin, record });
  adminTransitionDoor(app, asAdmin, transition);
  gatewayDoor(app, { ...services, guard, visitors: sessionGuard && createVisitorGateway(sessionGuard, config) });

  return app;
}
