/**
 * `npm run dev`: Postern and its demo origin on this machine, from a fresh clone. Makes secrets if there are none, brings
 * the local database up to date, serves both Workers with `wrangler dev`, and says how to log in. Flags given go on to
 * wrangler. A restart keeps the data; nothing here touches a deployment.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { join, resolve } from "node:path";
import { DEMO_USERS } from "./dev/demo-users.ts";
import { configurationArguments, ensureSecrets, quietEnvironment } from "./dev/environment.ts";
import { type DevFlags, readFlags } from "./dev/flags.ts";
import { stopSignal } from "./dev/stop.ts";

/** How far ahead the demo's sunset is. */
const DEMO_SUNSET_MS = 90 * 86_400_000;

const ROOT = resolve(import.meta.dirname, "..");

/** The port to serve on: `port` if nobody has it, a free one for 0. */
async function claimPort({ host, port }: DevFlags): Promise<number> {
  const probe = createServer().listen(port, host);
  try {
    await once(probe, "listening");
  } catch (cause) {
    throw new Error(`cannot listen on ${host}:${port}. Choose another port: npm run dev -- --port 8800`, { cause });
  }
  const address = probe.address();
  probe.close();
  await once(probe, "close");
  return typeof address === "object" && address !== null ? address.port : port;
}

/** Cookie sessions beside tokens, as in the middle of a transition, so that the demo shows the notices and the banner. */
function demoTransition(): string[] {
  const sunset = new Date(Date.now() + DEMO_SUNSET_MS).toISOString().slice(0, 10);
  return ["--var", "SESSION_AUTH:on", "--var", `SESSION_SUNSET:${sunset}`];
}

/** The command line of wrangler, from its script on. */
async function wranglerArguments(flags: DevFlags, port: number, url: string, persistTo: string): Promise<string[]> {
  return [
    join(ROOT, "node_modules/wrangler/bin/wrangler.js"),
    "dev",
    ...(await configurationArguments(ROOT, flags.variables.has("ORIGIN_URL"))),
    "--ip",
    flags.host,
    "--port",
    String(port),
    "--inspector-port",
    String(flags.inspectorPort),
    "--persist-to",
    persistTo,
    "--show-interactive-dev-session=false",
    ...(flags.variables.has("ISSUER") ? [] : ["--var", `ISSUER:${url}`]),
    ...(["SESSION_AUTH", "SESSION_SUNSET"].some((name) => flags.variables.has(name)) ? [] : demoTransition()),
    ...flags.rest,
  ];
}

function welcome(url: string): string {
  const [user] = DEMO_USERS;
  const credentials = JSON.stringify({ username: user?.username, password: user?.password });
  const people = DEMO_USERS.map(({ username, password, role }) => `${username} / ${password} (role ${role})`);
  return `
  Postern is ready on ${url}
  Demo users: ${people.join(", ")}

  Log in, and call the API behind it:

    TOKEN=$(curl -s ${url}/auth/login -H 'Content-Type: application/json' -d '${credentials}' | node -p 'JSON.parse(fs.readFileSync(0)).access_token')
    curl -s ${url}/api/users -H "Authorization: Bearer $TOKEN"
`;
}

/** Asks for the public keys, which makes a new Postern mint the first one: better now than during the first login. */
async function announce(url: string): Promise<void> {
  const { status } = await fetch(`${url}/.well-known/jwks.json`);
  if (status === 200) console.log(welcome(url));
  else console.error(`\n  Postern is up on ${url}, but answers ${status}: the reason is in the log above.\n`);
}

async function main(): Promise<number> {
  const stop = stopSignal();
  const flags = readFlags(process.argv.slice(2));
  const port = await claimPort(flags);
  const persistTo = resolve(ROOT, flags.persistTo ?? ".wrangler/state");

  if (await ensureSecrets(ROOT)) console.log("Wrote fresh secrets to .dev.vars");
  // Imported late, since it takes a third of a second, and a signal must find its handler before.
  const { prepareDatabase } = await import("./dev/database.ts");
  const { applied, created } = await prepareDatabase(ROOT, persistTo);
  if (applied.length > 0) console.log(`Applied migrations: ${applied.join(", ")}`);
  if (created.length > 0) console.log(`Created demo users: ${created.join(", ")}`);

  const url = `http://127.0.0.1:${port}`;
  const args = await wranglerArguments(flags, port, url, persistTo);
  if (stop.aborted) return 0;

  const env = quietEnvironment(persistTo);
  const wrangler = spawn(process.execPath, args, { cwd: ROOT, env, stdio: ["ignore", "inherit", "inherit", "ipc"] });
  stop.addEventListener("abort", () => wrangler.kill("SIGTERM"));
  // Wrangler's one message is that it serves. The first answer waits until the Worker is built.
  wrangler.once("message", () => {
    announce(url).catch((error: unknown) => {
      if (!stop.aborted) console.error(error);
    });
  });

  const [code] = (await once(wrangler, "exit")) as [number | null];
  if (stop.aborted) return 0;
  console.error(`wrangler dev ended by itself, with code ${code}`);
  return code === null || code === 0 ? 1 : code;
}

try {
  process.exitCode = await main();
} catch (error) {
  const { message, cause } = error instanceof Error ? error : new Error(String(error));
  console.error(`npm run dev: ${message}${cause instanceof Error ? `\n  ${cause.message}` : ""}`);
  process.exitCode = 1;
}
