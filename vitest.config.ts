// Two kinds of test: those that run inside workerd with real D1 and Durable Objects, and those that need a machine
// around them (lint walls, two edges, child processes) and run in Node.
import { cloudflareTest, readD1Migrations } from "@cloudflare/vitest-plugin";
import { defineConfig } from "vitest/config";

const workerd = async () => ({
  plugins: [
    cloudflareTest({
      wrangler: { configPath: "./wrangler.toml" },
      miniflare: {
        bindings: {
          TEST_MIGRATIONS: await readD1Migrations("migrations"),
          AUTH_SECRET: "dGVzdC1vbmx5LWF1dGgtc2VjcmV0LTMyLWJ5dGVzISE=",
          ORIGIN_SECRET: "dGVzdC1vbmx5LW9yaWdpbi1zZWNyZXQtMzItYnl0ZXM=",
        },
        serviceBindings: { ORIGIN: "postern-demo-origin" },
        workers: [
          {
            name: "postern-demo-origin",
            modules: true,
            scriptPath: "test/origin/index.js",
            compatibilityDate: "2026-10-20",
          },
        ],
      },
    }),
  ],
  test: {
    name: "workerd",
    include: ["test/**/*.test.ts"],
    exclude: ["test/node/**"],
    setupFiles: ["test/setup.ts"],
  },
});

export default defineConfig(async () => ({
  test: {
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
