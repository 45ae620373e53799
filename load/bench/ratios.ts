// Postern against the least that could do the same work: throughput, in turn with the baseline, round by round.
import { type Server, startServer, type WorkerName } from "../server.ts";
import { authorisedScript, freshAddress, logIn, loginScript, refreshScript } from "./client.ts";
import { type BenchFlags, isWanted } from "./flags.ts";
import { load, type Script } from "./http.ts";
import { median, medianRatio, quantile, round } from "./statistics.ts";

const USERS = 10_000;
const CONNECTIONS = 16;
/** Long enough for V8 to have compiled what is hot. */
const WARM_UP_SECONDS = 1;

export interface Comparison {
  /** Postern's requests per second over the baseline's, median of rounds. */
  readonly ratio: number;
  readonly perSecond: number;
  readonly baselinePerSecond: number;
  readonly latency: Latency;
}

export interface Latency {
  /** Of one connection, so that nothing waits for anything but the server. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly baselineP50Ms: number;
  readonly baselineP99Ms: number;
  readonly addedP50Ms: number;
}

interface Contender {
  readonly url: URL;
  readonly scripts: readonly Script[];
}

interface Rounds {
  perSecond: number[];
  p50Ms: number[];
  p99Ms: number[];
}

async function play({ url, scripts }: Contender, seconds: number, rounds: Rounds): Promise<void> {
  const crowd = await load(url, scripts, seconds, 200);
  const alone = await load(url, scripts.slice(0, 1), seconds / 2, 200);
  rounds.perSecond.push(crowd.perSecond);
  rounds.p50Ms.push(quantile(alone.latenciesMs, 0.5));
  rounds.p99Ms.push(quantile(alone.latenciesMs, 0.99));
}

async function compare(
  postern: Contender,
  baseline: Contender,
  { rounds, seconds }: Pick<BenchFlags, "rounds" | "seconds">,
): Promise<Comparison> {
  const a: Rounds = { perSecond: [], p50Ms: [], p99Ms: [] };
  const b: Rounds = { perSecond: [], p50Ms: [], p99Ms: [] };
  for (const { url, scripts } of [postern, baseline]) {
    await load(url, scripts, Math.min(seconds, WARM_UP_SECONDS), 200);
  }
  for (let i = 0; i < rounds; i++) {
    await play(postern, seconds, a);
    await play(baseline, seconds, b);
  }
  return {
    ratio: round(medianRatio(a.perSecond, b.perSecond), 3),
    perSecond: round(median(a.perSecond), 1),
    baselinePerSecond: round(median(b.perSecond), 1),
    latency: {
      p50Ms: round(median(a.p50Ms), 3),
      p99Ms: round(median(a.p99Ms), 3),
      baselineP50Ms: round(median(b.p50Ms), 3),
      baselineP99Ms: round(median(b.p99Ms), 3),
      addedP50Ms: round(median(a.p50Ms.map((value, i) => value - (b.p50Ms[i] ?? Number.NaN))), 3),
    },
  };
}

/** What is compared: its name, the baseline, and what each connection does. */
interface Trial {
  readonly name: string;
  readonly baseline: WorkerName;
  scripts(server: Server): Promise<Script[]>;
}

const connections = Array.from({ length: CONNECTIONS }, (_, i) => i);

const TRIALS: readonly Trial[] = [
  {
    name: "authorised",
    baseline: "pass-through",
    scripts: async (server) => (await logIn(server, 0, CONNECTIONS)).map(authorisedScript),
  },
  {
    // Each from an address of its own: its counter is made for it.
    name: "refresh",
    baseline: "sign-only",
    scripts: async (server) => (await logIn(server, 0, CONNECTIONS)).map((tokens) => refreshScript(tokens)),
  },
  {
    // From an address that was here before, as of an office.
    name: "refresh_same_address",
    baseline: "sign-only",
    scripts: async (server) =>
      (await logIn(server, 0, CONNECTIONS)).map((tokens) => refreshScript(tokens, freshAddress())),
  },
  {
    name: "login",
    baseline: "hash-only",
    scripts: async (server) => {
      const logins = { user: 0 };
      return connections.map(() => loginScript(server, logins, USERS));
    },
  },
];

/** All that `--only` leaves in, over one Postern. */
export async function measureRatios(flags: BenchFlags): Promise<Record<string, Comparison>> {
  const { origin, variables } = flags;
  const wanted = TRIALS.filter(({ name }) => isWanted(flags, name));
  const results: Record<string, Comparison> = {};
  if (wanted.length === 0) return results;
  const postern = await startServer({
    origin,
    users: USERS,
    // One address refreshes more often here than any would.
    variables: { RATE_LIMIT_REFRESH: "1000/1", ...variables },
  });
  try {
    for (const trial of wanted) {
      const baseline = await startServer({ worker: trial.baseline, origin });
      try {
        const scripts = await trial.scripts(postern);
        // Byte for byte what Postern is sent; a baseline reads none of it, and gives no tokens to go on with.
        const same = scripts.map((script) => ({ next: () => script.next() }));
        results[trial.name] = await compare({ url: postern.url, scripts }, { url: baseline.url, scripts: same }, flags);
      } finally {
        await baseline.stop();
      }
    }
  } finally {
    await postern.stop();
  }
  return results;
}
