// Each wall of the house is proved by planting a violation and seeing lint refuse it.
import { spawnSync } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { afterEach, describe, expect, test } from "vitest";

const ROOT = resolve(import.meta.dirname, "../..");
const planted: string[] = [];

/** Lints one line as if it stood in `place`; returns what lint said. */
function lintOf(place: string, line: string): { ok: boolean; output: string } {
  const file = join(ROOT, place);
  mkdirSync(join(file, ".."), { recursive: true });
  writeFileSync(file, `${line}\n`);
  if (!planted.includes(file)) planted.push(file);
  const { status, stdout } = spawnSync(join(ROOT, "node_modules/.bin/oxlint"), ["--deny-warnings", file], {
    cwd: ROOT,
    encoding: "utf8",
    env: { ...process.env, PATH: `${join(ROOT, "node_modules/.bin")}:${process.env["PATH"]}` },
  });
  return { ok: status === 0, output: stdout };
}

afterEach(() => {
  for (const file of planted.splice(0)) rmSync(file);
});

describe("the walls of the house refuse", () => {
  test.each([
    ["kit/ importing a capability", "src/kit/planted.ts", 'export { hit } from "../limits/window.ts";'],
    ["kit/ speaking HTTP outward", "src/kit/planted.ts", 'export { Hono } from "hono";'],
    ["a capability importing another", "src/sessions/planted.ts", 'export { hit } from "../limits/window.ts";'],
    ["a capability importing a door", "src/tokens/planted.ts", 'export { json } from "../doors/endpoint.ts";'],
    ["a capability importing services", "src/limits/planted.ts", 'export { runtime } from "../services.ts";'],
    ["a capability speaking HTTP outward", "src/origin/planted.ts", 'export { Hono } from "hono";'],
    ["a capability reaching the platform", "src/accounts/planted.ts", 'export { env } from "cloudflare:workers";'],
    [
      "a pure file becoming an object",
      "src/sessions/planted.ts",
      'export { DurableObject } from "cloudflare:workers";',
    ],
    ["a door importing services", "src/doors/planted.ts", 'export { runtime } from "../services.ts";'],
    ["a door importing the app", "src/doors/planted.ts", 'export { createApp } from "../app.ts";'],
    ["a door reaching an object", "src/doors/planted.ts", 'export { Counter } from "../limits/object.ts";'],
    ["a door doing cryptography", "src/doors/planted.ts", 'export { SignJWT } from "jose";'],
    ["a door reaching the platform", "src/doors/planted.ts", 'export { env } from "cloudflare:workers";'],
  ])("%s", (_, place, line) => {
    const { ok, output } = lintOf(place, line);
    expect(ok).toBe(false);
    expect(output).toContain("no-restricted-imports");
  });

  test.each([
    ["the clock", "src/tokens/planted.ts", "export const now = Date.now();"],
    ["the dice", "src/limits/planted.ts", "export const die = Math.random();"],
    ["strong dice", "src/doors/planted.ts", "export const id = crypto.randomUUID();"],
    ["random bytes", "src/kit/planted.ts", "export const salt = crypto.getRandomValues(new Uint8Array(8));"],
  ])("reading %s outside services and object shells", (_, place, line) => {
    const { ok, output } = lintOf(place, line);
    expect(ok).toBe(false);
    expect(output).toContain("no-restricted-properties");
  });

  test("logging past the typed logger, and any", () => {
    expect(lintOf("src/doors/planted.ts", 'console.log("token");').output).toContain("no-console");
    expect(lintOf("src/doors/planted.ts", "export const x: any = 1;").output).toContain("no-explicit-any");
  });

  test("nothing that is as it should be", () => {
    expect(lintOf("src/doors/planted.ts", 'export { ok } from "../kit/result.ts";')).toMatchObject({ ok: true });
    expect(lintOf("src/limits/planted.ts", 'export { ok } from "../kit/result.ts";')).toMatchObject({ ok: true });
  });
});
