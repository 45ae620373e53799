// People who log in once, call with pauses, and refresh when their token expires. They arrive over the first sixth.
import { configured, optionsFor } from "./client.ts";
import { live } from "./person.ts";

export { handleSummary } from "./summary.ts";

const { seconds, thinkSeconds, users } = configured("mixed");

export const options = optionsFor("mixed", {
  mixed: {
    executor: "ramping-vus",
    startVUs: 0,
    stages: [
      { duration: `${Math.ceil(seconds / 6)}s`, target: users },
      { duration: `${seconds}s`, target: users },
    ],
    gracefulRampDown: "5s",
  },
});

export default function person(): void {
  live(thinkSeconds, () => "steady");
}
