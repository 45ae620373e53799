// Two kinds of test: those that run inside workerd with real D1 and Durable Objects, and those that need a machine
// around them (lint walls, two edges, child processes) and run in Node.
import { cloudflareTest, readD1Migrations } from "@cloudflare/vitest-plugin";
import { build } from "esbuild";
import { defineConfig } from "vitest/config";

/** For the tests only; also in the environment, where wrangler looks for the secrets that wrangler.toml requires. */
const SECRETS = {
  AUTH_SECRET: "dGVzdC1vbmx5LWF1dGgtc2VjcmV0LTMyLWJ5dGVzISE=",
  ORIGIN_SECRET: "dGVzdC1vbmx5LW9yaWdpbi1zZWNyZXQtMzItYnl0ZXM=",
};
Object.assign(process.env, SECRETS);

/** The demo origin as one module: the plugin compiles the Worker under test only, its neighbours come as JavaScript. */
async function demoOrigin() {
  const { outputFiles } = await build({
    entryPoints: ["test/origin/index.ts"],
    bundle: true,
    format: "esm",
    write: false,
  });
  return {
    name: "postern-demo-origin",
    compatibilityDate: "2026-10-20",
    modules: outputFiles.map(({ text }) => ({ type: "ESModule" as const, path: "index.js", contents: text })),
  };
}

const workerd = async () => ({
  plugins: [
    cloudflareTest({
      wrangler: { configPath: "./wrangler.toml" },
      miniflare: {
        bindings: {
          TEST_MIGRATIONS: await readD1Migrations("migrations"),
          ...SECRETS,
        },
        serviceBindings: { ORIGIN: "postern-demo-origin" },
        workers: [await demoOrigin()],
      },
    }),
  ],
  test: {
    name: "workerd",
    include: ["test/**/*.test.ts"],
    exclude: ["test/node/**"],
    setupFiles: ["test/setup.ts"],
    // Generous, so that a slow machine fails nothing.
    testTimeout: 60_000,
  },
});

export default defineConfig(async () => ({
  test: {
    // What the Worker logs while tests break things on purpose would drown what they say.
    onConsoleLog: (line: string) => !line.startsWith('{"event":"'),
    coverage: {
      provider: "istanbul" as const,
      include: ["src/**/*.ts"],
      reporter: ["text", "json-summary"],
      thresholds: { lines: 95, branches: 95 },
    },
    projects: [
      await workerd(),
      { test: { name: "node", include: ["test/node/**/*.test.ts"], testTimeout: 120_000, hookTimeout: 120_000 } },
    ],
  },
}));
