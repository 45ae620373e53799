// One user through every client endpoint, once.
import { check } from "k6";
import { ask, call, configured, fieldOf, login, optionsFor, refresh, tokensOf } from "./client.ts";

export { handleSummary } from "./summary.ts";

const { seconds } = configured("smoke");

export const options = optionsFor("smoke", {
  smoke: { executor: "per-vu-iterations", vus: 1, iterations: 1, maxDuration: `${seconds}s` },
});

export default function smoke(): void {
  ask("healthz", "GET", "/healthz");
  ask("readyz", "GET", "/readyz");
  ask("jwks", "GET", "/.well-known/jwks.json");
  ask("call without token", "GET", "/api/items", { expect: [401] });
  const first = login(0);
  if (first === null) return;
  check(ask("me", "GET", "/auth/me", { bearer: first.access }), {
    "me is who logged in": (answer) => fieldOf(answer, "username") === "user-0",
  });
  call(first.access);
  ask("sessions", "GET", "/auth/sessions", { bearer: first.access });
  const second = tokensOf(refresh(first.refresh, "smoke"));
  if (second === null) return;
  check(second, { "a refresh gives another refresh token": ({ refresh: token }) => token !== first.refresh });
  call(second.access);
  ask("logout", "POST", "/auth/logout", { bearer: second.access, expect: [204] });
  call(second.access, { expect: [401] });
  ask("refresh after logout", "POST", "/auth/refresh", { body: { refresh_token: second.refresh }, expect: [401] });
}
