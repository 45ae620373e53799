// The people of `mixed`, for long: what leaks shows in the memory that the runner samples meanwhile.
import { configured, optionsFor } from "./client.ts";
import { live } from "./person.ts";

export { handleSummary } from "./summary.ts";

const { seconds, thinkSeconds, users } = configured("soak");

export const options = optionsFor("soak", {
  soak: { executor: "constant-vus", vus: users, duration: `${seconds}s` },
});

export default function person(): void {
  live(thinkSeconds, () => "steady");
}
