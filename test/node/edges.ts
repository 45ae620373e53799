// Several real edges on one machine: the built Worker as separate isolates over one database and one set of Durable
// Objects, each with its own socket, and an operator beside them. What an isolate remembers is its own.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { build, compatibilityDate, type Module, ROOT } from "../../load/server/build.ts";

const SECRET = Buffer.alloc(32, "two edges, one secret").toString("base64");

export const PASSWORD = "correct horse battery staple";
/** Argon2id of {@link PASSWORD}, at the parameters Postern uses. */
let passwordHash: string | undefined;

async function hashOfPassword(): Promise<string> {
  if (passwordHash === undefined) {
    const { default: initialize } = await import("@phi-ag/argon2/node");
    const argon2 = await initialize();
    passwordHash = argon2.hash(PASSWORD, { memoryCost: 19_456, timeCost: 2, parallelism: 1 }).encoded;
  }
  return passwordHash;
}

const ORIGIN = `export default { fetch: (request) => Response.json({ role: request.headers.get("X-User-Role") }) }`;

export interface Edges {
  readonly a: URL;
  readonly b: URL;
  readonly operator: URL;
  /** Creates a user with {@link PASSWORD}. */
  createUser(username: string): Promise<{ readonly id: string }>;
  stop(): Promise<void>;
}

export async function startEdges(variables: Readonly<Record<string, string>>): Promise<Edges> {
  const edge = await build("src/index.ts");
  const bindings = {
    ISSUER: "https://auth.example.com",
    AUDIENCE: "edges",
    AUTH_SECRET: SECRET,
    ORIGIN_SECRET: SECRET,
    ...variables,
  };
  const worker = (name: string, modules: Module[], objectsOf?: string) => ({
    name,
    modules,
    compatibilityDate: compatibilityDate(),
    bindings,
    d1Databases: { DB: "postern" },
    durableObjects: {
      USER_SESSIONS: { className: "UserSessions", useSQLite: true, ...(objectsOf && { scriptName: objectsOf }) },
      COUNTERS: { className: "Counter", useSQLite: true, ...(objectsOf && { scriptName: objectsOf }) },
    },
    serviceBindings: { ORIGIN: "origin" },
    unsafeDirectSockets: [{ host: "127.0.0.1", port: 0 }],
  });
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      stripCfConnectingIp: false,
      workers: [
        worker("a", edge),
        worker("b", edge, "a"),
        worker("operator", await build("test/node/operator.ts"), "a"),
        { name: "origin", modules: true, script: ORIGIN, compatibilityDate: compatibilityDate() },
      ],
    }),
  );
  await miniflare.ready;
  const database = await miniflare.getD1Database("DB", "a");
  for (const file of readdirSync(join(ROOT, "migrations")).toSorted()) {
    const sql = readFileSync(join(ROOT, "migrations", file), "utf8").replaceAll(/--.*$/gm, "");
    for (const statement of sql.split(";")) {
      if (statement.trim() !== "") await database.prepare(statement).run();
    }
  }
  const hash = await hashOfPassword();
  return {
    a: await miniflare.unsafeGetDirectURL("a"),
    b: await miniflare.unsafeGetDirectURL("b"),
    operator: await miniflare.unsafeGetDirectURL("operator"),
    async createUser(username) {
      const id = crypto.randomUUID();
      await database
        .prepare("INSERT INTO users VALUES (?1, ?2, ?2, ?3, 'user', 'active', 1, 0, 0)")
        .bind(id, username, hash)
        .run();
      return { id };
    },
    stop: () => miniflare.dispose(),
  };
}
