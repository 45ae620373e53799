// A Worker beside the edges that does what an operator's call does: notes a changed account in the user's session
// object, through Postern's own client and by its promise. It answers when the client returns.
import { type Bindings, createServices, readConfig, type Services } from "../../src/services.ts";

export { Counter } from "../../src/limits/object.ts";
export { UserSessions } from "../../src/sessions/object.ts";

let services: Services | undefined;

export default {
  async fetch(request, env) {
    if (services === undefined) {
      const parsed = readConfig(env);
      if (!parsed.ok) throw new Error(JSON.stringify(parsed.faults));
      services = createServices(parsed.config, env);
    }
    const { userId, role, status, revision } = await request.json<{
      userId: string;
      role: string;
      status: "active" | "disabled";
      revision: number;
    }>();
    const noted = await services.sessions.noteAccount(userId, { role, status, revision });
    return new Response(null, { status: noted.ok ? 204 : 503 });
  },
} satisfies ExportedHandler<Bindings>;
