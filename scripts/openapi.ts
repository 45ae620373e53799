// Writes docs/api/openapi.json and docs/errors.md. With `--check`, only says whether they are current. `npm run generate`.
import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { errorsPage, openapi } from "./openapi/document.ts";

const ROOT = resolve(import.meta.dirname, "..");
const files = { "docs/api/openapi.json": openapi(), "docs/errors.md": errorsPage() };

for (const [name, text] of Object.entries(files)) {
  const path = join(ROOT, name);
  if (!process.argv.includes("--check")) writeFileSync(path, text);
  else if (readFileSync(path, "utf8") !== text) {
    console.error(`${name} is not current: npm run generate`);
    process.exitCode = 1;
  }
}
