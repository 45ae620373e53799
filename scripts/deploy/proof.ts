/**
 * Proves a deployment from outside: that it answers, reaches its database, publishes keys and refuses strangers; with an
 * account to log in with, the life of one session too. Writes nothing but that session, which it ends.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { createReport } from "../smoke/report.ts";

const ANSWER_TIMEOUT_MS = 15_000;
/** How long a new address may take to answer: its certificate and its DNS record are made during the first deployment. */
const FIRST_ANSWER_MS = 120_000;
const BETWEEN_TRIES_MS = 2_000;

export interface Credentials {
  readonly username: string;
  readonly password: string;
}

export interface Deployment {
  /** Where it answers. */
  readonly url: string;
  readonly issuer: string;
  readonly audience: string;
}

interface Answer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

interface Call {
  readonly token?: unknown;
  /** Makes it a POST with this body. */
  readonly json?: object;
  readonly method?: "POST";
}

async function call(url: URL, { token, json, method }: Call = {}): Promise<Answer> {
  const headers = new Headers();
  if (typeof token === "string") headers.set("Authorization", `Bearer ${token}`);
  if (json !== undefined) headers.set("Content-Type", "application/json");
  const response = await fetch(url, {
    headers,
    ...(json !== undefined && { method: "POST", body: JSON.stringify(json) }),
    ...(method !== undefined && { method }),
    signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS),
    redirect: "manual",
  });
  const text = await response.text();
  try {
    return { status: response.status, body: JSON.parse(text) as Record<string, unknown> };
  } catch {
    return { status: response.status, body: {} };
  }
}

async function waitForAnswer(url: URL, waitMs: number): Promise<void> {
  const deadline = Date.now() + waitMs;
  for (;;) {
    const answer = await call(url).catch(() => null);
    if (answer?.status === 200 || Date.now() >= deadline) return;
    await sleep(BETWEEN_TRIES_MS);
  }
}

/** The claims of a token as they stand in it; the signature is the Worker's own business. */
function claimsOf(token: unknown): Record<string, unknown> {
  const claims = typeof token === "string" ? (token.split(".")[1] ?? "") : "";
  try {
    return JSON.parse(Buffer.from(claims, "base64url").toString()) as Record<string, unknown>;
  } catch {
    return {};
  }
}

/** Whether the deployment does what it should; prints a line for each thing tried. */
export async function proveDeployment(
  { url, issuer, audience }: Deployment,
  credentials: Credentials | null,
  waitMs = FIRST_ANSWER_MS,
): Promise<boolean> {
  const at = (path: string): URL => new URL(path, url);
  const { step, finish } = createReport();
  await waitForAnswer(at("/healthz"), waitMs);

  await step("/healthz", async (expect) => {
    expect.equal("status", (await call(at("/healthz"))).status, 200);
  });
  await step("/readyz: database and signing keys", async (expect) => {
    const { status, body } = await call(at("/readyz"));
    expect.equal("status", status, 200);
    if (body["failed"] !== undefined) expect.equal("failed", body["failed"], undefined);
  });
  await step("/.well-known/jwks.json", async (expect) => {
    const { status, body } = await call(at("/.well-known/jwks.json"));
    const keys = Array.isArray(body["keys"]) ? (body["keys"] as Record<string, unknown>[]) : [];
    expect.equal("status", status, 200);
    expect.true("at least one key", keys.length > 0);
    expect.true("public parts only", !keys.some((key) => "d" in key));
  });
  await step("a stranger is refused", async (expect) => {
    const { status, body } = await call(at("/auth/sessions"));
    expect.equal("status", status, 401);
    expect.equal("code", body["code"], "missing_token");
    expect.true(`by ${issuer}`, String(body["type"]).startsWith(`${issuer}/`));
  });

  if (credentials === null) {
    console.log("- login, refresh, logout: not tried. Set SMOKE_USERNAME and SMOKE_PASSWORD to try them");
    return finish();
  }
  await step("the life of a session", async (expect) => {
    const login = await call(at("/auth/login"), { json: credentials });
    expect.equal("login", login.status, 200);
    if (login.status !== 200) return;
    const { iss, aud } = claimsOf(login.body["access_token"]);
    expect.equal("iss", iss, issuer);
    expect.equal("aud", aud, audience);
    const refresh = await call(at("/auth/refresh"), { json: { refresh_token: login.body["refresh_token"] } });
    expect.equal("refresh", refresh.status, 200);
    const token = refresh.body["access_token"];
    expect.equal("its sessions", (await call(at("/auth/sessions"), { token })).status, 200);
    expect.equal("logout", (await call(at("/auth/logout"), { method: "POST", token })).status, 204);
    const after = await call(at("/auth/sessions"), { token });
    expect.equal("then", after.body["code"], "token_revoked");
  });
  return finish();
}
