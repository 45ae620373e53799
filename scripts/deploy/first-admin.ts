/**
 * The first admin of a deployment: created by the code behind `npm run users`, with its rules for names and passwords,
 * unless there is an admin already. Later ones come by `npm run users` or the admin API.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runCommandLine, UsageError } from "../users/commands.ts";
import { silent } from "../users/progress.ts";
import { selectUsers } from "../users/statements.ts";
import { rowsOf, type Store, wranglerArguments } from "../users/store.ts";
import { StepFailure } from "./steps.ts";
import type { Wrangler } from "./wrangler.ts";

const OWNER_ONLY = 0o600;

/** The deployed database, as the users commands want it. */
function remoteStore(wrangler: Wrangler): Store {
  return {
    batchUsers: 1,
    read: async (sql) => rowsOf(await wrangler.run(wranglerArguments({ command: sql }, undefined))),
    async write(statements) {
      const folder = await mkdtemp(join(tmpdir(), "postern-setup-"));
      try {
        const file = join(folder, "statements.sql");
        await writeFile(file, statements.map((statement) => `${statement};\n`).join(""), { mode: OWNER_ONLY });
        await wrangler.run(wranglerArguments({ file }, undefined));
      } finally {
        await rm(folder, { recursive: true });
      }
    },
    close: async () => {},
  };
}

export interface NewAdmin {
  readonly username: string;
  readonly password: string;
}

/** Creates the admin that `ask` names, unless there is one; says what there is now. */
export async function ensureAdmin(
  wrangler: Wrangler,
  environment: string,
  ask: () => Promise<NewAdmin>,
): Promise<string> {
  const store = remoteStore(wrangler);
  const [present] = await store.read<{ username: string }>(
    selectUsers("username, username_key", { role: "admin", status: "active" }, "", 1),
  );
  if (present !== undefined) return `${present.username} is one already`;

  const { username, password } = await ask();
  const said: string[] = [];
  try {
    await runCommandLine(["create", "--role", "admin", "--remote", "--env", environment, "--", username], {
      openStore: async () => store,
      print: (line) => said.push(line),
      readPassword: async () => password,
      progress: silent,
      output: process.stdout,
    });
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    throw new StepFailure(error.message, "Repeat this command with another name or password; what is done stays done");
  }
  return said.join("\n");
}
