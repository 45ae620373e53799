// The people of `mixed`, 10,000 of them, RAMP more each second. In k6 each costs so much memory and time that on a small
// machine k6 is what is measured: load/generator is the same scenario for that case.
import { configured, optionsFor } from "./client.ts";
import { live } from "./person.ts";

export { handleSummary } from "./summary.ts";

const { seconds, thinkSeconds, users } = configured("users-10k");
const rampSeconds = Math.ceil(users / Number(__ENV["RAMP"] ?? 100));
/** After the last has arrived, for logins that still wait. */
const SETTLE_SECONDS = 10;
const startedAt = Number(__ENV["STARTED_AT"] ?? Date.now());

export const options = optionsFor("users-10k", {
  people: {
    executor: "ramping-vus",
    startVUs: 0,
    stages: [
      { duration: `${rampSeconds}s`, target: users },
      { duration: `${SETTLE_SECONDS + seconds}s`, target: users },
    ],
    gracefulRampDown: "5s",
  },
});

const steadyAt = startedAt + (rampSeconds + SETTLE_SECONDS) * 1000;

export default function person(): void {
  live(thinkSeconds, () => (Date.now() < steadyAt ? "ramp" : "steady"));
}
