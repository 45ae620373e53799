// Every workerd test file starts here: refuse any other runtime, bring the file's own D1 up to date.
import { applyD1Migrations } from "cloudflare:test";
import { env } from "cloudflare:workers";

if (navigator.userAgent !== "Cloudflare-Workers") throw new Error("these tests run in workerd only");

await applyD1Migrations(env.DB, env.TEST_MIGRATIONS);
