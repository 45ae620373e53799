/**
 * The Worker's entry. Parses the configuration once; a bad one answers every request with 500 and names every fault in
 * the log, so that nothing runs half configured.
 */
import { createApp } from "./app.ts";
import { requestIdOf, setManners } from "./doors/manners.ts";
import { log } from "./kit/log.ts";
import { problem } from "./kit/problem.ts";
import { type Bindings, createServices, readConfig, runtime } from "./services.ts";

export { Counter } from "./limits/object.ts";
export { UserSessions } from "./sessions/object.ts";

type Serve = (request: Request) => Response | Promise<Response>;

/** One application per environment object, of which an isolate has one (and a test may have several). */
const applications = new WeakMap<object, Serve>();

function build(env: Bindings): Serve {
  const parsed = readConfig(env);
  if (parsed.ok) {
    const app = createApp(createServices(parsed.config, env));
    return (request) => app.fetch(request);
  }
  return (request) => {
    for (const { variable, fault } of parsed.faults) log({ event: "config.invalid", variable, fault });
    const requestId = requestIdOf(request, runtime);
    const response = problem({ code: "internal_error" }, { requestId });
    setManners(response.headers, requestId);
    return response;
  };
}

export default {
  fetch(request, env) {
    let serve = applications.get(env);
    if (serve === undefined) applications.set(env, (serve = build(env)));
    return serve(request);
  },
} satisfies ExportedHandler<Bindings>;
