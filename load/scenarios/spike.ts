// A steady rate of calls, ten times as many for a third of the time, and the steady rate again.
import { atRate, call, configured, everybodyIn, me, optionsFor, type Tokens } from "./client.ts";

export { handleSummary } from "./summary.ts";

const { rate, seconds, users } = configured("spike");
const third = Math.max(1, Math.floor(seconds / 3));
const SPIKE_FACTOR = 10;

export const options = optionsFor("spike", {
  before: atRate(rate, third, users),
  spike: atRate(rate * SPIKE_FACTOR, third, users, third),
  after: atRate(rate, third, users, 2 * third),
});

export const setup = (): Tokens[] => everybodyIn(users);

export default function oneCall(everybody: Tokens[]): void {
  call(everybody[me() % users]?.access ?? "");
}
