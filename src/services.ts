/**
 * The composition root: turns the environment into capabilities, once per isolate. The only file that touches bindings,
 * and, with the object shells, the only one that reads the clock and the dice.
 */
import { scrypt } from "node:crypto";
import { waitUntil } from "cloudflare:workers";
import { type Accounts, createAccounts } from "./accounts/accounts.ts";
import { createDirectory, type Directory } from "./accounts/directory.ts";
import { createImportedHashes, type HashEngines } from "./accounts/imported-hash.ts";
import { createPasswordHasher } from "./accounts/password-hash.ts";
import { type AuditTrail, createAuditTrail } from "./audit/trail.ts";
import { type Config, type ConfigFault, parseConfig, type ParsedConfig } from "./kit/config.ts";
import { onDatabase } from "./kit/database.ts";
import { ok, type Result } from "./kit/result.ts";
import type { Runtime } from "./kit/runtime.ts";
import { keysFor } from "./kit/secrets.ts";
import { createLimits, type Limits } from "./limits/client.ts";
import type { Counter } from "./limits/object.ts";
import { boundOrigin, createForwarder, type Forwarder, originAt } from "./origin/forward.ts";
import type { Field } from "./origin/identity.ts";
import { createIdentitySigner } from "./origin/identity-signature.ts";
import { compileRoutes, type RoutePolicy, routePathFault } from "./origin/route-policy.ts";
import { createSessions, type Sessions } from "./sessions/client.ts";
import { createLeases } from "./sessions/leases.ts";
import type { UserSessions } from "./sessions/object.ts";
import { createRefreshTokenCodec } from "./sessions/refresh-token.ts";
import type { ExistingSources } from "./transition/existing-sessions.ts";
import { createTransition, type Transition } from "./transition/transition.ts";
import { type AccessTokens, CLOCK_SKEW_SECONDS, createAccessTokens } from "./tokens/access-token.ts";
import { createKeyRotation, type KeyRotation } from "./tokens/key-rotation.ts";
import { createKeyStore } from "./tokens/key-store.ts";
import { createKeyring, type Keyring } from "./tokens/keyring.ts";

const DAY_MS = 86_400_000;
/** How long the existing application may take to say whose a session is. */
const VERIFY_TIMEOUT_MS = 3_000;

/** The bindings Postern runs on; the variables among them are parsed by kit/config.ts. */
export interface Bindings {
  readonly DB: D1Database;
  readonly USER_SESSIONS: DurableObjectNamespace<UserSessions>;
  readonly COUNTERS: DurableObjectNamespace<Counter>;
  readonly ADDRESS_FENCE?: RateLimit;
  readonly ORIGIN?: Fetcher;
  readonly EVENTS?: AnalyticsEngineDataset;
}

export interface Services {
  readonly config: Config;
  readonly accounts: Accounts;
  readonly directory: Directory;
  readonly audit: AuditTrail;
  readonly tokens: AccessTokens;
  readonly keyring: Keyring;
  readonly keyRotation: KeyRotation;
  readonly sessions: Sessions;
  /** Null: there are no cookie sessions, and there were none. */
  readonly transition: Transition | null;
  readonly limits: Limits;
  readonly events: AnalyticsEngineDataset | null;
  readonly runtime: Runtime;
  readonly checkDatabase: () => Promise<Result<unknown>>;
  /** What the cron does. Each part that fails has said so in the log, and is tried again the next time. */
  readonly maintain: () => Promise<void>;
  readonly routes: RoutePolicy;
  readonly forwarder: Forwarder;
}

export const runtime: Runtime = {
  now: () => Date.now(),
  randomBytes: (length) => crypto.getRandomValues(new Uint8Array(length)),
  sleep: (milliseconds) => scheduler.wait(milliseconds),
  waitUntil: (task) => waitUntil(task),
};

/** The configuration in `env`, with the faults that only a capability can tell. */
export function readConfig(env: Bindings): ParsedConfig {
  const parsed = parseConfig({ ...env });
  if (!parsed.ok) return parsed;
  const faults: ConfigFault[] = [];
  for (const [index, { path }] of parsed.config.routes.entries()) {
    const fault = routePathFault(path);
    if (fault !== null) faults.push({ variable: "ROUTES", fault: `at ${index}.path: ${fault}` });
  }
  return faults.length === 0 ? parsed : { ok: false, faults };
}

const scryptOfNode: HashEngines["scrypt"] = (password, salt, keyBytes, parameters) =>
  new Promise((resolve, reject) => {
    scrypt(password, salt, keyBytes, parameters, (error, key) => (error === null ? resolve(key) : reject(error)));
  });

function createOriginForwarder(config: Config, binding: Fetcher | undefined): Forwarder {
  const origin =
    config.originUrl === null
      ? boundOrigin((request) => {
          if (binding === undefined) throw new Error("configuration promised an ORIGIN binding");
          return binding.fetch(request);
        })
      : originAt(config.originUrl, (request) => fetch(request));
  return createForwarder({
    origin,
    signer: createIdentitySigner(config.originSecret, config.originKeyId),
    timeoutMs: config.originTimeoutSeconds * 1000,
    startTimer: (milliseconds, task) => {
      const timer = setTimeout(task, milliseconds);
      return () => clearTimeout(timer);
    },
    keepAuthorization: config.forwardAuthorization,
    keepSession: config.transition.verifyUrl !== null,
  });
}

/** How the existing application is asked whose a session is; null when there is none to ask. */
function existingSources(
  { transition, originSecret, originKeyId }: Config,
  accounts: Accounts,
): ExistingSources | null {
  const { verifyUrl } = transition;
  if (verifyUrl === null) return null;
  const signer = createIdentitySigner(originSecret, originKeyId);
  const account = async (found: ReturnType<Accounts["find"]>) => {
    const result = await found;
    return result.ok ? ok(result.value?.account ?? null) : result;
  };
  return {
    async ask(cookie, requestId) {
      const fields: Field[] = [
        ["cookie", `session_id=${cookie}`],
        ["x-request-id", requestId],
      ];
      const message = { method: "GET", path: verifyUrl.pathname, query: verifyUrl.search, fields };
      const { signatureInput, signature } = await signer.sign(message, runtime.now());
      const headers = [
        ...fields,
        ["Signature-Input", signatureInput],
        ["Signature", signature],
        ["Accept", "application/json"],
      ];
      const signal = AbortSignal.timeout(VERIFY_TIMEOUT_MS);
      return fetch(verifyUrl, {
        headers: headers.map(([name = "", value = ""]) => [name, value]),
        signal,
        redirect: "manual",
        cache: "no-store",
      });
    },
    accountById: (id) => account(accounts.find(id)),
    accountByName: (username) => account(accounts.lookup(username)),
  };
}

export function createServices(config: Config, bindings: Bindings): Services {
  const secrets = { current: config.authSecret, previous: config.authSecretPrevious };

  const keyStore = createKeyStore(
    bindings.DB,
    keysFor(secrets, "signing-key-at-rest", "aes-gcm"),
    config.signingKeyBits,
    runtime,
  );
  const acceptedMs = (config.accessTokenSeconds + CLOCK_SKEW_SECONDS) * 1000;
  const keyring = createKeyring(keyStore, acceptedMs, runtime);
  const keyRotation = createKeyRotation(
    keyStore,
    keyring,
    { rotationMs: config.keyRotationDays * DAY_MS, acceptedMs },
    runtime,
  );
  const tokens = createAccessTokens(
    keyring,
    {
      issuer: config.issuer,
      audience: config.audience,
      clientId: config.clientId,
      lifetimeSeconds: config.accessTokenSeconds,
    },
    runtime,
  );

  const leaseMs = config.revocationLeaseSeconds * 1000;
  const sessions = createSessions(
    bindings.USER_SESSIONS,
    createRefreshTokenCodec(keysFor(secrets, "refresh-token", "hmac")),
    createLeases(leaseMs, runtime),
    {
      lifetimes: {
        idleMs: config.refreshIdleSeconds * 1000,
        maxMs: config.refreshMaxSeconds * 1000,
        raceMs: config.refreshRaceSeconds * 1000,
        accessMs: config.accessTokenSeconds * 1000,
      },
      leaseMs,
      maxSessions: config.maxSessionsPerUser,
    },
    runtime,
  );

  const hasher = createPasswordHasher(runtime);
  const hashes = createImportedHashes({ scrypt: scryptOfNode, argon2: hasher, pause: () => runtime.sleep(0) });
  const accounts = createAccounts(bindings.DB, hasher, hashes, runtime);
  const directory = createDirectory(bindings.DB, hasher, runtime);
  const audit = createAuditTrail(bindings.DB, config.auditDays, runtime);
  const { sessionAuth, sunsetAt } = config.transition;
  const transition =
    sessionAuth || (sunsetAt !== null && runtime.now() >= sunsetAt)
      ? createTransition(config.transition, bindings.DB, existingSources(config, accounts), leaseMs, runtime)
      : null;

  return {
    config,
    accounts,
    directory,
    audit,
    tokens,
    keyring,
    keyRotation,
    sessions,
    transition,
    limits: createLimits(bindings.COUNTERS, bindings.ADDRESS_FENCE ?? null, config.limits, runtime),
    events: bindings.EVENTS ?? null,
    runtime,
    maintain: async () => {
      await keyRotation.maintain();
      await audit.prune();
      await transition?.legacy.sweep();
    },
    checkDatabase: () => onDatabase(runtime, () => bindings.DB.prepare("SELECT 1 FROM users LIMIT 1").run()),
    routes: compileRoutes(config.routes),
    forwarder: createOriginForwarder(config, bindings.ORIGIN),
  };
}
