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

/** A configured Postern, or one that says what is wrong with its configuration. */
interface Postern {
  fetch(request: Request): Response | Promise<Response>;
  maintain(): Promise<void>;
}

/** One per environment object, of which an isolate has one (and a test may have several). */
const built = new WeakMap<object, Postern>();

function build(env: Bindings): Postern {
  const parsed = readConfig(env);
  if (parsed.ok) {
    const services = createServices(parsed.config, env);
    const app = createApp(services);
    return { fetch: (request) => app.fetch(request), maintain: services.maintain };
  }
  const complain = (): void => {
    for (const { variable, fault } of parsed.faults) log({ event: "config.invalid", variable, fault });
  };
  return {
    fetch(request) {
      complain();
      const requestId = requestIdOf(request, runtime);
      const response = problem({ code: "internal_error" }, { requestId });
      setManners(response.headers, requestId);
      return response;
    },
    async maintain() {
      complain();
    },
  };
}

function posternOf(env: Bindings): Postern {
  let postern = built.get(env);
  if (postern === undefined) built.set(env, (postern = build(env)));
  return postern;
}

export default {
  fetch: (request, env) => posternOf(env).fetch(request),
  scheduled: (_, env) => posternOf(env).maintain(),
} satisfies ExportedHandler<Bindings>;
