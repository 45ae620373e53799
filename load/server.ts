// Postern under load: the Worker as deployed, on workerd itself, with users in its database and a fast origin behind it.
// Also the baselines it is compared with. Not `wrangler dev`, whose proxy is slower than all of them.
//
//   node load/server.ts --users 1000 --origin tcp --edges 2 --var LOG_REQUESTS=all
//
// prints one line of JSON (url, urls, pid) and stays until SIGTERM, SIGINT or the end of its standard input.
import { rmSync } from "node:fs";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { build, compatibilityDate, type Module } from "./server/build.ts";
import { readServerFlags, type ServerOptions, type WorkerName } from "./server/options.ts";
import { residentBytes, runtimeProcesses } from "./server/process.ts";
import { createState, DATABASE_ID, PASSWORD, stateDirectory, userName } from "./server/state.ts";

export type { ServerOptions, WorkerName } from "./server/options.ts";

export interface Server {
  /** The first edge. */
  readonly url: URL;
  /** Every edge. */
  readonly urls: URL[];
  /** Of the workerd process; NaN where there is no /proc. */
  readonly pid: number;
  /** Resident memory of that process; NaN where there is no /proc. */
  rssBytes(): number;
  readonly users: { name(i: number): string; readonly password: string };
  stop(): Promise<void>;
}

const HOST = "127.0.0.1";
const SECRET = Buffer.alloc(32, "for load tests only").toString("base64");
const ORIGIN_ANSWER = JSON.stringify({ items: [1, 2, 3], message: "from the origin" });
const ORIGIN_SCRIPT = `
  const headers = { "Content-Type": "application/json" };
  export default { fetch: () => new Response(${JSON.stringify(ORIGIN_ANSWER)}, { headers }) };`;

const direct = { unsafeDirectSockets: [{ host: HOST, port: 0 }] };

/** Builds are kept: one run starts the same Worker several times. */
const builds = new Map<WorkerName, Promise<Module[]>>();

function modulesOf(worker: WorkerName): Promise<Module[]> {
  const make = () =>
    worker === "postern" ? build("src/index.ts") : build(`load/baselines/${worker}.ts`, "load/baselines/wrangler.toml");
  const modules = builds.get(worker) ?? make();
  builds.set(worker, modules);
  return modules;
}

/** An origin in a process of its own. */
async function startOrigin(): Promise<{ url: URL; stop(): Promise<void> }> {
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      workers: [
        { name: "origin", modules: true, script: ORIGIN_SCRIPT, compatibilityDate: compatibilityDate(), ...direct },
      ],
    }),
  );
  await miniflare.ready;
  return { url: await miniflare.unsafeGetDirectURL("origin"), stop: () => miniflare.dispose() };
}

function edgeName(i: number): string {
  return i === 0 ? "edge" : `edge-${i}`;
}

function bindingsOf({ variables = {} }: ServerOptions, originUrl: URL | null): Record<string, string> {
  return {
    ISSUER: "https://auth.example.com",
    AUDIENCE: "load",
    AUTH_SECRET: SECRET,
    ORIGIN_SECRET: SECRET,
    LOG_REQUESTS: "off",
    ...(originUrl !== null && { ORIGIN_URL: originUrl.origin }),
    ...variables,
  };
}

/** One edge of several over one database and one set of objects, which are the first edge's. */
function edge(i: number, modules: Module[], bindings: Record<string, string>, worker: WorkerName) {
  const isPostern = worker === "postern";
  const scriptName = i > 0 && { scriptName: edgeName(0) };
  return {
    name: edgeName(i),
    modules,
    compatibilityDate: compatibilityDate(),
    bindings,
    ...(isPostern && {
      d1Databases: { DB: DATABASE_ID },
      durableObjects: {
        USER_SESSIONS: { className: "UserSessions", useSQLite: true, ...scriptName },
        COUNTERS: { className: "Counter", useSQLite: true, ...scriptName },
      },
    }),
    ...(bindings["ORIGIN_URL"] === undefined && { serviceBindings: { ORIGIN: "origin" } }),
    ...direct,
  };
}

/** Lines of the log are read by this process: what is not wanted must cost as little as it can. */
function onStructuredLog(onLog: ServerOptions["onLog"]) {
  return ({ level, message }: { level: string; message: string }): void => {
    if (onLog !== undefined) onLog(message);
    else if (level === "error") console.error(message);
  };
}

/** Starts a server; those of one process one after the other, or their processes cannot be told apart. */
export async function startServer(options: ServerOptions): Promise<Server> {
  const worker = options.worker ?? "postern";
  const modules = await modulesOf(worker);
  const origin = options.origin === "tcp" ? await startOrigin() : null;
  const directory = stateDirectory(options.state ?? "memory");
  const removeState = (): void => rmSync(directory, { recursive: true, force: true });
  // It may be in memory: not to be left there by a run that is broken off.
  process.once("exit", removeState);
  if (worker === "postern") await createState(directory, options.users ?? 0);

  const bindings = bindingsOf(options, origin?.url ?? null);
  const names = Array.from({ length: options.edges ?? 1 }, (_, i) => edgeName(i));
  const before = new Set(runtimeProcesses());
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      stripCfConnectingIp: false,
      resourcePersistencePath: directory,
      handleStructuredLogs: onStructuredLog(options.onLog),
      ...(options.inspectorPort !== undefined && { inspectorPort: options.inspectorPort }),
      workers: [
        ...names.map((_, i) => edge(i, modules, bindings, worker)),
        { name: "origin", modules: true, script: ORIGIN_SCRIPT, compatibilityDate: compatibilityDate() },
      ],
    }),
  );
  const stop = async (): Promise<void> => {
    await miniflare.dispose();
    await origin?.stop();
    removeState();
    process.off("exit", removeState);
  };
  try {
    await miniflare.ready;
    const urls = await Promise.all(names.map((name) => miniflare.unsafeGetDirectURL(name)));
    const [url] = urls;
    if (url === undefined) throw new Error("a server has at least one edge");
    // The first request mints the signing key.
    if (worker === "postern") await expectOk(new URL("/readyz", url));
    const pid = runtimeProcesses().find((candidate) => !before.has(candidate)) ?? Number.NaN;
    return {
      url,
      urls,
      pid,
      rssBytes: () => residentBytes(pid),
      users: { name: userName, password: PASSWORD },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function expectOk(url: URL): Promise<void> {
  const response = await fetch(url);
  const text = await response.text();
  if (!response.ok) throw new Error(`${url.pathname} answers ${response.status}: ${text}`);
}

/** Until a signal, or until whoever started this is gone. */
function stopAsked(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => resolve());
    process.stdin.on("end", () => resolve());
    process.stdin.on("error", () => resolve());
    process.stdin.resume();
  });
}

if (import.meta.main) {
  const asked = stopAsked();
  const options = readServerFlags(process.argv.slice(2));
  const wantsLog = (options.variables?.["LOG_REQUESTS"] ?? "off") !== "off";
  const server = await startServer({ ...options, ...(wantsLog && { onLog: (line) => console.error(line) }) });
  const { url, urls, pid } = server;
  console.log(JSON.stringify({ url, urls, pid, password: server.users.password }));
  await asked;
  await server.stop();
  process.exit(0);
}
