// Authorised calls through the gateway at a steady rate, by users who are logged in.
import { atRate, call, configured, everybodyIn, me, optionsFor, type Tokens } from "./client.ts";

export { handleSummary } from "./summary.ts";

const { rate, seconds, users } = configured("authorised");

export const options = optionsFor("authorised", { authorised: atRate(rate, seconds, users) });

export const setup = (): Tokens[] => everybodyIn(users);

export default function oneCall(everybody: Tokens[]): void {
  call(everybody[me() % users]?.access ?? "");
}
