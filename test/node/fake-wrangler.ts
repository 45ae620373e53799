// Stands in for wrangler in deploy.test.ts: records what it was given, and answers as an account with the state in
// FAKE_WRANGLER/state.json would.
import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";

export interface FakeAccount {
  loggedIn: boolean;
  databases: { name: string; uuid: string }[];
  secrets: Record<string, string>;
  admins: string[];
  /** The beginning of a command that fails the next time it is given. */
  failOnce: string | null;
}

export interface FakeCall {
  readonly command: string;
  readonly args: string[];
  readonly input: string;
}

export const NEW_DATABASE_ID = "0f9e8d7c-6b5a-4c3d-8e2f-1a0b9c8d7e6f";

function answer(command: string, args: string[], input: string, account: FakeAccount): string {
  if (command.startsWith("whoami")) return JSON.stringify({ loggedIn: account.loggedIn, email: "ops@postern.test" });
  if (command.startsWith("d1 list")) return JSON.stringify(account.databases);
  if (command.startsWith("d1 create")) account.databases.push({ name: args[2] ?? "", uuid: NEW_DATABASE_ID });
  if (command.startsWith("secret list")) return JSON.stringify(Object.keys(account.secrets).map((name) => ({ name })));
  if (command.startsWith("secret put")) account.secrets[args[2] ?? ""] = input;
  if (command.startsWith("d1 execute")) {
    const file = args.find((arg) => arg.startsWith("--file="))?.slice("--file=".length);
    if (file !== undefined) account.admins.push(readFileSync(file, "utf8"));
    const asksForAdmin = command.includes("role = 'admin'");
    const results = asksForAdmin ? account.admins.map(() => ({ username: "root" })) : [];
    return JSON.stringify([{ success: true, results }]);
  }
  if (command.startsWith("deploy")) return "Total Upload: 1 KiB\nUploaded postern\nCurrent Version ID: 1234";
  return "";
}

async function main(folder: string): Promise<void> {
  const state = join(folder, "state.json");
  const account = JSON.parse(readFileSync(state, "utf8")) as FakeAccount;
  const args = process.argv.slice(2);
  const command = args.join(" ");
  const input = await text(process.stdin);
  appendFileSync(join(folder, "calls"), `${JSON.stringify({ command, args, input } satisfies FakeCall)}\n`);
  if (account.failOnce !== null && command.startsWith(account.failOnce)) {
    account.failOnce = null;
    console.error("✘ [ERROR] something is wrong today\n\n🪵  Logs were written to a file");
    process.exitCode = 1;
  } else if (command.startsWith("secret list") && account.databases.length === 0) {
    console.error('✘ [ERROR] Worker "postern-production" (env: production) not found.\n');
    process.exitCode = 1;
  } else {
    console.log(answer(command, args, input, account));
  }
  writeFileSync(state, JSON.stringify(account));
}

const folder = process.env["FAKE_WRANGLER"];
if (folder !== undefined && process.argv[1] === import.meta.filename) await main(folder);
