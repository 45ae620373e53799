/**
 * Writes the id of a new database into wrangler.toml, and leaves every other character of it as it was.
 */
import { readFile, rename, writeFile } from "node:fs/promises";
import { StepFailure } from "./steps.ts";

/** The text of wrangler.toml with `id` as the DB of environment `name`; null when there is no such DB in it. */
export function withDatabaseId(toml: string, name: string, id: string): string | null {
  const header = `[[env.${name}.d1_databases]]`;
  const lines = toml.split("\n");
  for (let start = lines.indexOf(header); start !== -1; start = lines.indexOf(header, start + 1)) {
    let end = start + 1;
    while (end < lines.length && !lines[end]?.startsWith("[")) end++;
    const block = lines.slice(start, end);
    if (!block.some((line) => /^binding\s*=\s*"DB"/.test(line))) continue;
    const at = block.findIndex((line) => /^database_id\s*=/.test(line));
    const line = `database_id = "${id}"`;
    if (at === -1) lines.splice(start + 1, 0, line);
    else lines[start + at] = line;
    return lines.join("\n");
  }
  return null;
}

export async function writeDatabaseId(configPath: string, name: string, id: string): Promise<void> {
  const toml = withDatabaseId(await readFile(configPath, "utf8"), name, id);
  if (toml === null) {
    throw new StepFailure(
      `${configPath} has no [[env.${name}.d1_databases]] with binding = "DB" to write the id into`,
      `Write it yourself: database_id = "${id}"`,
    );
  }
  // Whole or not at all.
  await writeFile(`${configPath}.new`, toml);
  await rename(`${configPath}.new`, configPath);
}
