import { cloudflareTest } from "@cloudflare/vitest-plugin";
import { defineConfig } from "vitest/config";
export default defineConfig({ plugins: [cloudflareTest({ miniflare: { compatibilityDate: "2026-10-20" } })], test: { include: ["test/unit/tmp-origin-*.test.ts"] } });
