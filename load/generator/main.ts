// The generator as a process of its own, so that it shares no thread with what hosts the server: takes a plan as JSON in its
// only argument, writes what came of it as JSON to standard output, and progress to standard error.
import { Crowd, type Plan, type Step } from "./crowd.ts";
import type { Phases, Second } from "../report/recorder.ts";

export interface Outcome {
  readonly phases: Phases;
  readonly series: readonly Second[];
  readonly steps: readonly Step[];
  readonly faults: readonly string[];
  readonly loggedIn: number;
  /** Of one core, while it ran: near 1, and it is the generator that was measured. */
  readonly generatorCpu: number;
}

async function carryOut(plan: Plan): Promise<Outcome> {
  const crowd = new Crowd(plan);
  const stopProgress = crowd.reportProgress();
  const startedAt = performance.now();
  const usage = process.cpuUsage();
  let steps: Step[] = [];
  if (plan.find === "users") steps = await crowd.findUsers();
  else if (plan.find === "logins") steps = await crowd.findLogins();
  else await crowd.run();
  crowd.stop();
  stopProgress();
  const { user, system } = process.cpuUsage(usage);
  return {
    phases: crowd.recorder.phases(),
    series: crowd.recorder.seconds(),
    steps,
    faults: crowd.faults,
    loggedIn: crowd.loggedIn,
    generatorCpu: (user + system) / 1000 / (performance.now() - startedAt),
  };
}

const [plan = ""] = process.argv.slice(2);
const outcome = await carryOut(JSON.parse(plan) as Plan);
process.stdout.write(JSON.stringify(outcome), () => process.exit(0));
