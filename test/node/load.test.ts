// The load harness says what it measured: its sums are right, its presets and thresholds are sound, its report holds the
// figures. Needs neither k6 nor a server, and looks at no speed.
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { Crowd, isWithinPromise } from "../../load/generator/crowd.ts";
import { Histogram } from "../../load/generator/histogram.ts";
import { pauseMs } from "../../load/generator/user.ts";
import { renderChart, roundUp } from "../../load/report/chart.ts";
import { readLoadFlags } from "../../load/report/flags.ts";
import { renderHtml } from "../../load/report/html.ts";
import { csvFields, findK6, K6_MISSING, k6Arguments, readSamples, readVerdicts } from "../../load/report/k6.ts";
import { Recorder } from "../../load/report/recorder.ts";
import { isFlat, memoryOf, type Result, slopePerMinute, withMemory } from "../../load/report/result.ts";
import { renderTable } from "../../load/report/table.ts";
import { writeResult } from "../../load/run.ts";
import { address, parseThreshold, PRESET_NAMES, PRESETS, presetNamed } from "../../load/scenarios/presets.ts";
import { ROOT } from "../../load/server/build.ts";
import { addressPrefix, networkPrefix } from "../../src/limits/address.ts";

async function inFolder<T>(use: (folder: string) => Promise<T> | T): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), "postern-load-test-"));
  try {
    return await use(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe("percentiles", () => {
  test("are within a hundredth of what was recorded, over five powers of ten", () => {
    for (const scale of [0.01, 0.1, 1, 10, 100, 1000]) {
      const histogram = new Histogram();
      for (let i = 1; i <= 1000; i++) histogram.record(i * scale);
      for (const q of [0.5, 0.95, 0.99, 0.999]) {
        expect(histogram.quantileMs(q) / (q * 1000 * scale)).toBeCloseTo(1, 1.7);
      }
      expect(histogram.meanMs).toBeCloseTo(500.5 * scale, 6);
      expect(histogram.maxMs).toBe(1000 * scale);
    }
  });

  test("of one value are that value, of none are no number", () => {
    const histogram = new Histogram();
    expect(histogram.quantileMs(0.5)).toBeNaN();
    expect(histogram.maxMs).toBeNaN();
    histogram.record(12.5);
    expect(histogram.quantileMs(0.01)).toBe(12.5);
    expect(histogram.quantileMs(1)).toBe(12.5);
  });

  test("a value beyond all bounds counts as the largest", () => {
    const histogram = new Histogram();
    histogram.record(1e9);
    expect(histogram.count).toBe(1);
    expect(histogram.quantileMs(0.5)).toBeGreaterThan(1e6);
  });
});

describe("a recorder", () => {
  test("keeps phases, operations and seconds apart, and counts errors", () => {
    const recorder = new Recorder();
    recorder.record("ramp", "login", 100, 30, false);
    recorder.record("steady", "call", 2100, 2, false);
    recorder.record("steady", "call", 2200, 4, true);
    const phases = recorder.phases();
    expect(phases["ramp"]?.["login"]).toMatchObject({ count: 1, errors: 0, p50Ms: 30 });
    expect(phases["steady"]?.["all"]).toMatchObject({ count: 2, errors: 1, meanMs: 3, maxMs: 4 });
    expect(recorder.seconds().map(({ perSecond, errors }) => [perSecond, errors])).toEqual([
      [1, 0],
      [0, 0],
      [2, 1],
    ]);
    expect(recorder.seconds()[1]?.p99Ms).toBeNull();
  });
});

describe("memory", () => {
  const line = (slope: number) =>
    Array.from({ length: 1200 }, (_, second) => ({ second, bytes: 1e8 + slope * second }));

  test("its slope is that of the straight line through the samples", () => {
    expect(slopePerMinute(line(1000))).toBe(60_000);
    expect(slopePerMinute(line(0))).toBe(0);
    expect(slopePerMinute([])).toBeNull();
  });

  test("is flat, grows, or was watched too briefly to tell", () => {
    expect(isFlat(line(0), 2 ** 20)).toBe(true);
    expect(isFlat(line(50_000), 2 ** 20)).toBe(false);
    expect(isFlat(line(50_000).slice(0, 60), 2 ** 20)).toBeNull();
  });

  test("of which the machine does not tell is none", () => {
    expect(memoryOf([{ second: 0, bytes: Number.NaN }])).toBeNull();
    expect(withMemory(new Recorder().seconds(), [])).toEqual([]);
  });
});

describe("presets", () => {
  test("each has its script, its thresholds parse, and none widens a limit", () => {
    for (const name of PRESET_NAMES) {
      expect(existsSync(join(ROOT, "load/scenarios", `${name}.ts`))).toBe(true);
      const { thresholds, variables } = PRESETS[name];
      for (const expression of Object.values(thresholds).flat()) expect(parseThreshold(expression).bound).not.toBeNaN();
      expect(Object.keys(variables).filter((variable) => variable.startsWith("RATE_LIMIT"))).toEqual([]);
    }
    expect(Number(PRESETS.race.variables["REFRESH_RACE_SECONDS"])).toBeLessThan(10);
  });

  test("each is in the README", () => {
    const readme = readFileSync(join(ROOT, "load/README.md"), "utf8");
    for (const name of PRESET_NAMES) expect(readme).toContain(`| \`${name}\` |`);
  });

  test("an unknown one is answered with those there are", () => {
    expect(() => presetNamed("faster")).toThrow("smoke, login, refresh");
    expect(() => presetNamed(undefined)).toThrow("smoke, login, refresh");
  });

  test("a threshold that is none is refused", () => {
    expect(parseThreshold("p(99)<=120")).toEqual({ aggregate: "p(99)", operator: "<=", bound: 120 });
    expect(() => parseThreshold("p99<120")).toThrow("not a threshold");
  });

  test("no two clients share a limit", () => {
    const prefixes = Array.from({ length: 20_000 }, (_, n) => addressPrefix(address(n)));
    expect(new Set(prefixes.map((prefix) => networkPrefix(prefix) ?? prefix)).size).toBe(20_000);
    expect(prefixes).not.toContain("malformed");
  });
});

describe("flags", () => {
  test("default to the preset's values", () => {
    expect(readLoadFlags(["mixed"], {})).toMatchObject({ ...pick("mixed"), engine: "k6", find: null });
    expect(readLoadFlags([], { PRESET: "users-10k" })).toMatchObject({
      ...pick("users-10k"),
      engine: "generator",
      ramp: 100,
    });
    expect(readLoadFlags(["soak"], { SOAK_MINUTES: "0.5" }).seconds).toBe(30);
    expect(readLoadFlags(["mixed", "--var", "LOG_REQUESTS=all"], {}).variables).toEqual({
      ...PRESETS.mixed.variables,
      LOG_REQUESTS: "all",
    });
  });

  test("that make no sense are refused", () => {
    expect(() => readLoadFlags(["mixed", "--users", "0"], {})).toThrow("--users");
    expect(() => readLoadFlags(["mixed", "--find", "users"], {})).toThrow("--find");
    expect(() => readLoadFlags(["mixed", "--engine", "generator"], {})).toThrow("users-10k");
    expect(() => readLoadFlags(["users-10k", "--find", "faults"], {})).toThrow("users, logins");
    expect(() => readLoadFlags(["smoke", "soak"], {})).toThrow("soak");
  });

  function pick(name: "mixed" | "users-10k") {
    const { users, seconds, thinkSeconds, variables } = PRESETS[name];
    return { preset: name, users, seconds, thinkSeconds, variables };
  }
});

describe("k6", () => {
  test("is taken from $K6, PATH, $GOBIN or ~/go/bin, in this order", () => {
    const environment = { K6: "/k/k6", PATH: "/a:/b", GOBIN: "/g", GOPATH: "/p" };
    const order = ["/k/k6", "/a/k6", "/b/k6", "/g/k6", "/p/bin/k6"];
    for (const [i, path] of order.entries()) {
      expect(findK6(environment, (candidate) => order.indexOf(candidate) >= i)).toBe(path);
    }
    expect(findK6({}, () => false)).toBeNull();
  });

  test("that is missing is answered with how to get it, and nothing is started", () => {
    expect(K6_MISSING).toContain("go install go.k6.io/k6@latest");
    const run = (): string =>
      execFileSync(process.execPath, ["load/run.ts", "smoke"], {
        cwd: ROOT,
        env: { HOME: "/nowhere" },
        encoding: "utf8",
        stdio: "pipe",
      });
    expect(run).toThrow("go install go.k6.io/k6@latest");
  });

  test("is told to call nobody", () => {
    const words = k6Arguments({ script: "s.ts", environment: { PASSWORD: "two words" }, csv: "c.csv" });
    expect(words).toEqual(expect.arrayContaining(["--no-usage-report", "--address=", "PASSWORD=two words"]));
  });

  test("its samples are read by the names of their columns", async () => {
    await inFolder(async (folder) => {
      const csv = join(folder, "samples.csv");
      const lines = [
        "metric_name,timestamp,metric_value,expected_response,name,scenario,status,extra_tags",
        'http_req_duration,1000500000,12.5,true,"refresh (tabs, five)",race,200,',
        "http_req_duration,1001500000,7,false,call,people,401,victim=yes&phase=steady",
        "http_reqs,1001500000,1,false,call,people,401,",
      ];
      writeFileSync(csv, lines.join("\n"));
      const recorder = new Recorder();
      await readSamples(csv, 1_000_000, recorder);
      expect(recorder.phase("race")["refresh (tabs, five)"]).toMatchObject({ count: 1, errors: 0, p50Ms: 12.5 });
      expect(recorder.phase("steady")["call"]).toMatchObject({ count: 1, errors: 1 });
      expect(recorder.seconds().map(({ perSecond }) => perSecond)).toEqual([1, 1]);
    });
    expect(csvFields('a,"b ""c"", d",')).toEqual(["a", 'b "c", d', ""]);
  });

  test("its verdicts are those of its thresholds", () => {
    const summary = { checks: { thresholds: { "rate==1": { ok: false } } }, http_reqs: {} };
    expect(readVerdicts(summary)).toEqual([{ name: "checks rate==1", isHeld: false }]);
  });
});

describe("the promise", () => {
  const summary = {
    count: 9,
    errors: 0,
    perSecond: 1,
    meanMs: 45,
    p50Ms: 1,
    p95Ms: 1,
    p99Ms: 120,
    p999Ms: 1,
    maxMs: 1,
  };

  test("holds up to its bounds, and never for nothing", () => {
    expect(isWithinPromise(summary)).toBe(true);
    for (const worse of [{ meanMs: 45.1 }, { p99Ms: 120.1 }, { errors: 1 }, { meanMs: null }]) {
      expect(isWithinPromise({ ...summary, ...worse })).toBe(false);
    }
    expect(isWithinPromise(null)).toBe(false);
  });
});

describe("the generator", () => {
  test("pauses have the mean they were asked for", () => {
    const random = (i: number) => () => (i + 0.5) / 10_000;
    const pauses = Array.from({ length: 10_000 }, (_, i) => pauseMs(2, random(i)));
    expect(pauses.reduce((sum, pause) => sum + pause, 0) / pauses.length).toBeCloseTo(2000, -2);
    expect(Math.max(...pauses)).toBeLessThanOrEqual(12_000);
  });

  test("logs each user in once, calls, and refreshes when the token expires", async () => {
    const paths: string[] = [];
    const tokens = JSON.stringify({ access_token: "a", refresh_token: "r", expires_in: 1 });
    const server = createServer((request, response) => {
      paths.push(request.url ?? "");
      request.resume().on("end", () => response.end(tokens));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const plan = { url, password: "p", users: 3, ramp: 100, seconds: 0.5, thinkSeconds: 0.05, step: 1, find: null };
    const crowd = new Crowd(plan);
    try {
      await crowd.run();
      crowd.stop();
      expect(crowd.faults).toEqual([]);
      expect(crowd.loggedIn).toBe(3);
      expect(paths.filter((path) => path === "/auth/login")).toHaveLength(3);
      expect(paths).toContain("/auth/refresh");
      expect(crowd.recorder.phase("steady")["call"]?.count).toBeGreaterThan(0);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });

  test("a refused login is an error, and that user is not in", async () => {
    const server = createServer((_, response) => response.writeHead(503).end("away"));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const plan = { url, password: "p", users: 2, ramp: 100, seconds: 1, thinkSeconds: 1, step: 1, find: null };
    const crowd = new Crowd(plan);
    try {
      await crowd.grow(2, 100, true);
      expect(crowd.loggedIn).toBe(0);
      expect(crowd.recorder.phase("ramp")["login"]).toMatchObject({ count: 2, errors: 2 });
      expect(crowd.faults).toContain("login: 503 away");
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });
});

describe("a report", () => {
  const recorder = new Recorder();
  recorder.record("steady", "call <b>", 500, 3, false);
  recorder.record("steady", "call <b>", 2500, 5, true);
  const result: Result = {
    preset: "mixed",
    engine: "k6",
    startedAt: "2026-01-02T03:04:05.678Z",
    machine: { cpu: "a cpu", cores: 2, memoryGib: 4, kernel: "6", node: "v24", workerd: "1" },
    parameters: { users: 2 },
    variables: {},
    phases: recorder.phases(),
    series: withMemory(recorder.seconds(), [{ second: 1, bytes: 2 ** 20 }]),
    steps: [{ size: 1000, isHeld: true, summary: recorder.phase("steady")["all"] ?? null, endedSecond: 2 }],
    memory: memoryOf([{ second: 0, bytes: 2 ** 20 }]),
    generatorCpu: 0.25,
    faults: ["a fault"],
    verdicts: [{ name: "checks rate==1", isHeld: false }],
    isPassed: false,
  };

  test("as a table names every operation, verdict and fault", () => {
    const table = renderTable(result);
    for (const text of [
      "call <b>",
      "1 MiB at first",
      "25 % of a core",
      "1000: holds (mean 4 ms, p99 5 ms, 1 MiB)",
      "fault: a fault",
    ]) {
      expect(table).toContain(text);
    }
    expect(table).toMatch(/✗ checks rate==1\nFAILED$/);
  });

  test("as HTML is one file that loads nothing, with its texts escaped", () => {
    const html = renderHtml(result);
    expect(html).toContain("call &lt;b&gt;");
    expect(html).not.toContain("<b>");
    expect(html).not.toMatch(/\b(?:src|href)=|@import|url\(|NaN|undefined|<script/);
    expect(html.match(/<svg/g)).toHaveLength(3);
  });

  test("draws nothing where nothing was measured", () => {
    const svg = renderChart({ title: "t", curves: [{ name: "c", values: [1, null, 2] }] });
    expect(svg).toMatch(/d="M60\.0 [\d.]+M890\.0 [\d.]+"/);
    expect([0, 0.3, 7, 12, 200].map(roundUp)).toEqual([1, 0.5, 10, 20, 200]);
  });

  test("is written as JSON and HTML, named by time and preset", async () => {
    await inFolder((folder) => {
      const { json } = writeResult(result, folder);
      expect(readdirSync(folder).toSorted()).toEqual(["20260102T030405Z-mixed.html", "20260102T030405Z-mixed.json"]);
      expect(JSON.parse(readFileSync(json, "utf8"))).toEqual(result);
    });
  });
});
