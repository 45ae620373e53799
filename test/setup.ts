// Every workerd test file starts here: refuse any other runtime, bring the file's own D1 up to date, and see at the end that
// no secret was logged.
import { applyD1Migrations } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterAll, expect } from "vitest";
import { leaks, watchConsole } from "./secrecy.ts";

if (navigator.userAgent !== "Cloudflare-Workers") throw new Error("these tests run in workerd only");

await applyD1Migrations(env.DB, env.TEST_MIGRATIONS);

watchConsole();
afterAll(() => {
  expect(leaks(), "secrets in the log").toEqual([]);
});
