// The bench measures what it says: its sums are right, a wrong answer ends it, and a tiny run comes to its end with the
// promised shape. Nothing here looks at how fast anything is.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { bench } from "../../load/bench.ts";
import { BUDGET, overBudget, parseServerTiming } from "../../load/bench/counts.ts";
import { readBenchFlags } from "../../load/bench/flags.ts";
import { encodeRequest, field, load, parseAnswer } from "../../load/bench/http.ts";
import { median, medianRatio, quantile } from "../../load/bench/statistics.ts";
import { startServer } from "../../load/server.ts";
import { readServerFlags } from "../../load/server/options.ts";

describe("sums", () => {
  test("the median is the middle value, or the mean of the two in the middle", () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 3, 2])).toBe(2.5);
    expect(median([])).toBeNaN();
  });

  test("a ratio is taken within each round, so a slow round does not count against either", () => {
    expect(medianRatio([50, 5, 100], [100, 10, 200])).toBe(0.5);
  });

  test("a quantile is a value that was measured", () => {
    expect(quantile([4, 1, 3, 2], 0.5)).toBe(2);
    expect(quantile([4, 1, 3, 2], 0.99)).toBe(4);
  });
});

describe("Server-Timing", () => {
  const value = 'total;dur=12.0, objects;desc="2", d1;desc="1", sign;desc="1", verify;desc="0", hash;desc="1"';

  test("is read as counts", () => {
    expect(parseServerTiming(value)).toEqual({ objects: 2, d1: 1, sign: 1, verify: 0, hash: 1 });
  });

  test("that lacks a count is an error, never a zero", () => {
    expect(() => parseServerTiming("total;dur=1")).toThrow("without objects");
    expect(() => parseServerTiming(null)).toThrow("without objects");
  });

  test("over its budget is named", () => {
    expect(overBudget(BUDGET)).toEqual([]);
    const wasteful = { ...BUDGET, authorised_warm: { ...BUDGET.authorised_warm, d1: 1 } };
    expect(overBudget(wasteful)).toEqual(["authorised_warm: d1 1, budget 0"]);
  });
});

describe("flags", () => {
  test("of the bench have defaults, and are refused when they make no sense", () => {
    expect(readBenchFlags([])).toMatchObject({ rounds: 5, seconds: 2, only: null, json: null, isGrowth: false });
    expect(readBenchFlags(["growth", "--only", "users,memory"])).toMatchObject({
      only: ["users", "memory"],
      isGrowth: true,
    });
    expect(() => readBenchFlags(["--rounds", "0"])).toThrow("--rounds");
    expect(() => readBenchFlags(["--seconds", "soon"])).toThrow("--seconds");
    expect(() => readBenchFlags(["shrink"])).toThrow("shrink");
  });

  test("of the server have defaults, and are refused when they make no sense", () => {
    expect(readServerFlags(["--users", "5", "--var", "LOG_REQUESTS=all"])).toEqual({
      worker: "postern",
      origin: "binding",
      state: "memory",
      users: 5,
      edges: 1,
      variables: { LOG_REQUESTS: "all" },
    });
    expect(() => readServerFlags(["--worker", "faster"])).toThrow("--worker");
    expect(() => readServerFlags(["--edges", "0"])).toThrow("--edges");
    expect(() => readServerFlags(["--var", "LOG_REQUESTS"])).toThrow("NAME=VALUE");
  });
});

describe("the generator", () => {
  test("reads answers by length, by chunks and without a body, and waits for what is missing", () => {
    const counted = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n";
    expect(parseAnswer(`${counted}hell`)).toBeNull();
    expect(parseAnswer(`${counted}hello`)).toMatchObject({ status: 200, body: "hello" });
    const chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n";
    expect(parseAnswer(chunked)).toBeNull();
    expect(parseAnswer(`${chunked}0\r\n\r\n`)).toMatchObject({ body: "hello" });
    expect(parseAnswer("HTTP/1.1 204 No Content\r\nA: b\r\n\r\n")).toMatchObject({ status: 204, body: "" });
    expect(field("HTTP/1.1 200 OK\r\nServer-Timing: a", "server-timing")).toBe("a");
  });

  test("ends with an error at the first answer that is not the expected one", async () => {
    const server = await startServer({ worker: "hello" });
    const script = { next: () => encodeRequest("GET", "/", {}) };
    try {
      expect((await load(server.url, [script], 0.2, 200)).latenciesMs.length).toBeGreaterThan(0);
      await expect(load(server.url, [script], 0.2, 204)).rejects.toThrow("expected 204");
    } finally {
      await server.stop();
    }
  });
});

describe("npm run bench", () => {
  test("measures every ratio, latency and count and writes them as JSON", async () => {
    const folder = mkdtempSync(join(tmpdir(), "postern-bench-"));
    const json = join(folder, "results.json");
    try {
      const result = await bench(readBenchFlags(["--rounds", "1", "--seconds", "0.2", "--json", json]));
      expect(JSON.parse(readFileSync(json, "utf8"))).toEqual(result);
      const figure = expect.any(Number) as number;
      const latency = {
        p50Ms: figure,
        p99Ms: figure,
        baselineP50Ms: figure,
        baselineP99Ms: figure,
        addedP50Ms: figure,
      };
      const names = ["authorised", "refresh", "refresh_same_address", "login"];
      expect(result.ratios).toEqual(Object.fromEntries(names.map((name) => [name, figure])));
      expect(result.latency_ms).toEqual(Object.fromEntries(names.map((name) => [name, latency])));
      expect(result.counts).toEqual(BUDGET_AS_COUNTED);
      expect(result.machine.workerd).toMatch(/^1\./);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

/** What each operation takes, exactly. The edge that is asked to log out has verified the token before. */
const BUDGET_AS_COUNTED = { ...BUDGET, logout: { ...BUDGET.logout, verify: 0 } };
