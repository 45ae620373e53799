import { execFileSync } from "node:child_process";
import { expect, test } from "vitest";

test("the vectors for origin authors are what the gateway sends today", () => {
  expect(() =>
    execFileSync(process.execPath, ["scripts/origin-vectors.ts", "--check"], { stdio: "pipe" }),
  ).not.toThrow();
});
