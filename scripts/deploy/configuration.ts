/**
 * Whether an environment of wrangler.toml can be deployed, as far as that can be told without an account. Judges with the
 * Worker's own parser, so what passes here is what starts there; the secrets, whose values nobody can read, are dummies.
 */
import type { Unstable_Config as WranglerConfig } from "wrangler";
import { parseConfig } from "../../src/kit/config.ts";
import { routePathFault } from "../../src/origin/route-policy.ts";

/** The secrets without which Postern does not start. */
export const REQUIRED_SECRETS = ["AUTH_SECRET", "ORIGIN_SECRET"] as const;

const SECRETS: ReadonlySet<string> = new Set([...REQUIRED_SECRETS, "AUTH_SECRET_PREVIOUS"]);
const DUMMY_SECRET = Buffer.alloc(32).toString("base64");
const DATABASE_ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const NIL_ID = "00000000-0000-0000-0000-000000000000";
const DEMO_ORIGIN = "postern-demo-origin";
/** Names that stand for somebody else's (RFC 2606), and this machine. */
const NOT_DEPLOYABLE = /(^|\.)(example|invalid|localhost|example\.(com|net|org))$|^127\.|^\[::1\]$/i;

export interface Fault {
  /** The variable, or the key of wrangler.toml. */
  readonly where: string;
  readonly fault: string;
}

export interface Environment {
  readonly name: string;
  readonly config: WranglerConfig;
  /** The other environments of the file, with which it must share nothing. */
  readonly others: ReadonlyMap<string, WranglerConfig>;
}

/** Reads one environment. Throws, in wrangler's words, when the file has a fault or no such environment. */
export async function readEnvironment(configPath: string, name: string): Promise<Environment> {
  // Loaded only here: wrangler takes a second to import.
  const { experimental_readRawConfig: readRawConfig, unstable_readConfig: readConfig } = await import("wrangler");
  const read = (env: string): WranglerConfig => readConfig({ config: configPath, env }, { hideWarnings: true });
  const config = read(name);
  const names = Object.keys(readRawConfig({ config: configPath }).rawConfig.env ?? {});
  return {
    name,
    config,
    others: new Map(names.filter((other) => other !== name).map((other) => [other, read(other)])),
  };
}

/** A variable as text; empty when it is absent or no text. */
export function variableOf({ vars }: WranglerConfig, name: string): string {
  const value: unknown = vars[name];
  return typeof value === "string" ? value : "";
}

/** The id of the environment's database; null until `npm run setup` has written it. */
export function databaseIdOf({ config }: Environment): string | null {
  const id = config.d1_databases.find(({ binding }) => binding === "DB")?.database_id;
  return id !== undefined && DATABASE_ID.test(id) && id !== NIL_ID ? id : null;
}

function isPlaceholder(value: unknown): value is string {
  return typeof value === "string" && /^<.*>$/s.test(value.trim());
}

/** The bindings that the Worker would find, as markers: their presence is all that the parser looks at. */
function bindingsOf(config: WranglerConfig): Record<string, true> {
  const names = [
    ...config.d1_databases.map(({ binding }) => binding),
    ...config.durable_objects.bindings.map(({ name }) => name),
    ...(config.services ?? []).map(({ binding }) => binding),
  ];
  return Object.fromEntries(names.map((name) => [name, true]));
}

function parserFaults({ config }: Environment): Fault[] {
  const dummies = Object.fromEntries(REQUIRED_SECRETS.map((name) => [name, DUMMY_SECRET]));
  const parsed = parseConfig({ ...bindingsOf(config), ...config.vars, ...dummies });
  if (!parsed.ok) return parsed.faults.map(({ variable, fault }) => ({ where: variable, fault }));
  return parsed.config.routes.flatMap(({ path }, index) => {
    const fault = routePathFault(path);
    return fault === null ? [] : [{ where: "ROUTES", fault: `at ${index}.path: ${fault}` }];
  });
}

function variableFaults(environment: Environment): Fault[] {
  const { name, config } = environment;
  const faults: Fault[] = [];
  const placeholders = new Set<string>();
  for (const [variable, value] of Object.entries(config.vars)) {
    if (SECRETS.has(variable)) {
      faults.push({
        where: variable,
        fault: "is a secret and stands in [vars], for all to read: remove and change it",
      });
    } else if (isPlaceholder(value)) {
      placeholders.add(variable);
      faults.push({
        where: variable,
        fault: `is still the placeholder ${value}: put the value of ${name} in its place`,
      });
    }
  }
  // What the parser says of a placeholder, or of a binding that one stands in for, says nothing new.
  faults.push(...parserFaults(environment).filter(({ where }) => !placeholders.has(where)));
  for (const variable of ["ISSUER", "ORIGIN_URL"]) {
    const hostname = URL.parse(variableOf(config, variable))?.hostname ?? "";
    if (!placeholders.has(variable) && NOT_DEPLOYABLE.test(hostname)) {
      faults.push({ where: variable, fault: `names ${hostname}, which cannot be deployed to` });
    }
  }
  return faults;
}

function bindingFaults(environment: Environment): Fault[] {
  const { name, config } = environment;
  const faults: Fault[] = [];
  if (databaseIdOf(environment) === null) {
    faults.push({ where: "d1_databases", fault: `DB has no database_id yet: npm run setup -- --env ${name}` });
  }
  for (const className of ["UserSessions", "Counter"]) {
    if (config.exports[className]?.type !== "durable-object") {
      faults.push({ where: "exports", fault: `${className} is not declared as a durable-object` });
    }
  }
  const required = config.secrets?.required ?? [];
  for (const secret of REQUIRED_SECRETS) {
    if (!required.includes(secret)) faults.push({ where: "secrets.required", fault: `does not list ${secret}` });
  }
  if (config.services?.some(({ service }) => service === DEMO_ORIGIN) === true) {
    faults.push({ where: "services", fault: `${DEMO_ORIGIN} is for laptops only` });
  }
  if ((config.triggers.crons ?? []).length === 0) {
    faults.push({ where: "triggers.crons", fault: "is empty: signing keys would not rotate" });
  }
  return faults;
}

/** Whether requests for `hostname` come in by this route pattern, as in `example.com/auth/*` or `*.example.com/*`. */
function leadsTo(pattern: string, hostname: string): boolean {
  const host = pattern.replace(/^https?:\/\//, "").split("/", 1)[0] ?? "";
  return host.startsWith("*") ? hostname.endsWith(host.slice(1)) : host === hostname;
}

function addressFaults({ config }: Environment): Fault[] {
  const patterns = [...(config.routes ?? []), ...(config.route === undefined ? [] : [config.route])].map((route) =>
    typeof route === "string" ? route : route.pattern,
  );
  if (patterns.length === 0 && config.workers_dev !== true) {
    return [{ where: "routes", fault: "is missing: no address would lead to this Worker" }];
  }
  const hostname = URL.parse(variableOf(config, "ISSUER"))?.hostname;
  if (hostname === undefined || patterns.some((pattern) => leadsTo(pattern, hostname))) return [];
  if (config.workers_dev === true && hostname.endsWith(".workers.dev")) return [];
  return [{ where: "routes", fault: `none leads to ${hostname}, the host of ISSUER` }];
}

function sharedFaults(environment: Environment): Fault[] {
  const issuer = variableOf(environment.config, "ISSUER");
  const databaseId = databaseIdOf(environment);
  const faults: Fault[] = [];
  for (const [name, config] of environment.others) {
    if (issuer !== "" && !isPlaceholder(issuer) && variableOf(config, "ISSUER") === issuer) {
      faults.push({ where: "ISSUER", fault: `is that of ${name} too` });
    }
    if (databaseId !== null && config.d1_databases.some(({ database_id: id }) => id === databaseId)) {
      faults.push({ where: "d1_databases", fault: `DB is the database of ${name} too` });
    }
  }
  return faults;
}

/** Everything that keeps the environment from being deployed; empty when nothing does. */
export function faultsOf(environment: Environment): readonly Fault[] {
  return [
    ...variableFaults(environment),
    ...bindingFaults(environment),
    ...addressFaults(environment),
    ...sharedFaults(environment),
  ];
}
