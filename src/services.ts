/**
 * The composition root: turns the environment into capabilities, once per isolate. The only file that touches bindings,
 * and, with the object shells, the only one that reads the clock and the dice.
 */
import { waitUntil } from "cloudflare:workers";
import { type Accounts, createAccounts } from "./accounts/accounts.ts";
import { createPasswordHasher } from "./accounts/password-hash.ts";
import { type Config, type ConfigFault, parseConfig, type ParsedConfig } from "./kit/config.ts";
import { onDatabase } from "./kit/database.ts";
import type { Result } from "./kit/result.ts";
import type { Runtime } from "./kit/runtime.ts";
import { keysFor } from "./kit/secrets.ts";
import { createLimits, type Limits } from "./limits/client.ts";
import type { Counter } from "./limits/object.ts";
import { boundOrigin, createForwarder, type Forwarder, originAt } from "./origin/forward.ts";
import { createIdentitySigner } from "./origin/identity-signature.ts";
import { compileRoutes, type RoutePolicy, routePathFault } from "./origin/route-policy.ts";
import { createSessions, type Sessions } from "./sessions/client.ts";
import { createLeases } from "./sessions/leases.ts";
import type { UserSessions } from "./sessions/object.ts";
import { createRefreshTokenCodec } from "./sessions/refresh-token.ts";
import { type AccessTokens, CLOCK_SKEW_SECONDS, createAccessTokens } from "./tokens/access-token.ts";
import { createKeyRotation, type KeyRotation } from "./tokens/key-rotation.ts";
import { createKeyStore } from "./tokens/key-store.ts";
import { createKeyring, type Keyring } from "./tokens/keyring.ts";

const DAY_MS = 86_400_000;

/** The bindings Postern runs on; the variables among them are parsed by kit/config.ts. */
export interface Bindings {
  readonly DB: D1Database;
  readonly USER_SESSIONS: DurableObjectNamespace<UserSessions>;
  readonly COUNTERS: DurableObjectNamespace<Counter>;
  readonly ORIGIN?: Fetcher;
}

export interface Services {
  readonly config: Config;
  readonly accounts: Accounts;
  readonly tokens: AccessTokens;
  readonly keyring: Keyring;
  readonly keyRotation: KeyRotation;
  readonly sessions: Sessions;
  readonly limits: Limits;
  readonly runtime: Runtime;
  readonly checkDatabase: () => Promise<Result<unknown>>;
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
  });
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

  return {
    config,
    accounts: createAccounts(bindings.DB, createPasswordHasher(runtime), runtime),
    tokens,
    keyring,
    keyRotation,
    sessions,
    limits: createLimits(bindings.COUNTERS, runtime),
    runtime,
    checkDatabase: () => onDatabase(runtime, () => bindings.DB.prepare("SELECT 1 FROM users LIMIT 1").run()),
    routes: compileRoutes(config.routes),
    forwarder: createOriginForwarder(config, bindings.ORIGIN),
  };
}
