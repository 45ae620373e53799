// Logins at a steady rate, of users in turn, each from an address of its own.
import exec from "k6/execution";
import { addressOf, atRate, configured, login, me, optionsFor } from "./client.ts";

export { handleSummary } from "./summary.ts";

const { rate, seconds, users } = configured("login");

export const options = optionsFor("login", { login: atRate(rate, seconds, users) });

export default function oneLogin(): void {
  login(exec.scenario.iterationInTest % users, { from: addressOf(me(), 1 + exec.vu.iterationInScenario) });
}
