/**
 * `npm run smoke`: walks through a running local Postern as its clients do, and prints what came of each step.
 *
 *   npm run smoke                                 the one that `npm run dev` serves
 *   npm run smoke -- --url http://127.0.0.1:8800  another one; --expires-in 2 when its access tokens live that long
 *   npm run smoke -- --start                      one of its own
 *
 * What takes minutes or days with the usual lifetimes (expiry, reuse after the race window) is tried on a second,
 * short-lived Postern which this script starts and stops, unless the first one is short-lived already (then it has to
 * have REFRESH_RACE_SECONDS:1 too, which no answer tells).
 */
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { createClient, type Tokens, tokensOf } from "./smoke/client.ts";
import { createReport, type Report } from "./smoke/report.ts";
import { type Server, startPostern } from "./smoke/server.ts";

const DEFAULT_URL = "http://127.0.0.1:8787";
const DEFAULT_EXPIRES_IN_SECONDS = 900;

const CONCURRENT_REQUESTS = 50;
const LOGINS_PER_MINUTE = 10;

const SHORT_LIVED = ["ACCESS_TOKEN_SECONDS:2", "REFRESH_IDLE_SECONDS:4", "REFRESH_RACE_SECONDS:1"];
/** With lifetimes up to this, waiting for an expiry is no nuisance. */
const SHORT_LIFETIME_SECONDS = 10;
/** How long after its exp an access token may still pass: clocks differ by that much. */
const CLOCK_SKEW_SECONDS = 5;
const RACE_SECONDS = 1;
const MARGIN_MS = 500;

/** Waits until `seconds` are certainly over on a server that measures them itself. */
function waitOut(seconds: number): Promise<void> {
  return sleep(seconds * 1000 + MARGIN_MS);
}

function withBrokenSignature(token: string): string {
  const [head, claims, signature = ""] = token.split(".");
  const first = signature.startsWith("A") ? "B" : "A";
  return `${head}.${claims}.${first}${signature.slice(1)}`;
}

/** The steps that any Postern goes through in seconds. */
async function walkThrough(url: string, expiresInSeconds: number, { step }: Report): Promise<void> {
  await step("login", async (expect) => {
    const answer = await createClient(url).login();
    expect.equal("status", answer.status, 200);
    expect.equal("token_type", answer.body["token_type"], "Bearer");
    expect.equal("expires_in", answer.body["expires_in"], expiresInSeconds);
  });

  await step("GET /api/users with the token", async (expect) => {
    const client = createClient(url);
    const { access_token } = await client.tokens();
    const answer = await client.users(access_token);
    expect.equal("status", answer.status, 200);
    expect.true("a list of users", Array.isArray(answer.body["users"]));
  });

  await step("GET /api/users with a malformed token", async (expect) => {
    const answer = await createClient(url).users("not-a-token");
    expect.equal("status", answer.status, 401);
    expect.equal("code", answer.code, "invalid_token");
    expect.true(`detail "${answer.detail}"`, Boolean(answer.detail));
  });

  await step("GET /api/users with a broken signature", async (expect) => {
    const client = createClient(url);
    const { access_token } = await client.tokens();
    const answer = await client.users(withBrokenSignature(access_token));
    expect.equal("status", answer.status, 401);
    expect.equal("code", answer.code, "invalid_token");
    expect.true(`detail "${answer.detail}"`, Boolean(answer.detail));
  });

  await step("GET /api/users without a token", async (expect) => {
    const answer = await createClient(url).users();
    expect.equal("status", answer.status, 401);
    expect.equal("code", answer.code, "missing_token");
    expect.equal("WWW-Authenticate", answer.headers.get("www-authenticate"), 'Bearer realm="postern"');
  });

  await step("refresh", async (expect) => {
    const client = createClient(url);
    const first = await client.tokens();
    const answer = await client.refresh(first.refresh_token);
    expect.equal("status", answer.status, 200);
    const second = tokensOf(answer);
    expect.true("new access token", second.access_token !== first.access_token);
    expect.true("new refresh token", second.refresh_token !== first.refresh_token);
    expect.equal("GET /api/users", (await client.users(second.access_token)).status, 200);
  });

  await step("old refresh token inside the race window", async (expect) => {
    const client = createClient(url);
    const first = await client.tokens();
    const second = tokensOf(await client.refresh(first.refresh_token));
    const answer = await client.refresh(first.refresh_token);
    expect.equal("status", answer.status, 200);
    expect.equal("Postern-Refresh", answer.headers.get("postern-refresh"), "replayed");
    expect.true("same successor", answer.body["refresh_token"] === second.refresh_token);
  });

  await step("logout", async (expect) => {
    const client = createClient(url);
    const { access_token, refresh_token } = await client.tokens();
    expect.equal("GET before", (await client.users(access_token)).status, 200);
    expect.equal("logout", (await client.logout(access_token)).status, 204);
    const after = await client.users(access_token);
    expect.equal("GET after", after.status, 401);
    expect.equal("code", after.code, "token_revoked");
    expect.equal("refresh after", (await client.refresh(refresh_token)).code, "session_revoked");
  });

  await step(`${CONCURRENT_REQUESTS} concurrent requests with one token`, async (expect) => {
    const client = createClient(url);
    const { access_token } = await client.tokens();
    const answers = await Promise.all(Array.from({ length: CONCURRENT_REQUESTS }, () => client.users(access_token)));
    expect.equal("answers with 200:", answers.filter(({ status }) => status === 200).length, CONCURRENT_REQUESTS);
  });

  await step("one login too many from one address", async (expect) => {
    const client = createClient(url);
    let allowed = 0;
    for (let n = 0; n < LOGINS_PER_MINUTE; n++) if ((await client.login()).status === 200) allowed++;
    expect.equal("logins allowed:", allowed, LOGINS_PER_MINUTE);
    const answer = await client.login();
    expect.equal("then status", answer.status, 429);
    expect.equal("code", answer.code, "rate_limited");
    const [retryAfter, rateLimit] = [answer.headers.get("retry-after"), answer.headers.get("ratelimit")];
    expect.true(`Retry-After "${retryAfter}"`, Number(retryAfter) > 0);
    expect.true(`RateLimit '${rateLimit}'`, /^"login";r=0;t=\d+$/.test(rateLimit ?? ""));
  });
}

/** The steps that wait for something to run out; all wait at the same time. */
async function outwait(url: string, { step }: Report): Promise<void> {
  const reuse = step("old refresh token after the race window", async (expect) => {
    const client = createClient(url);
    const first = await client.tokens();
    const second = tokensOf(await client.refresh(first.refresh_token));
    await waitOut(RACE_SECONDS);
    const answer = await client.refresh(first.refresh_token);
    expect.equal("status", answer.status, 401);
    expect.equal("code", answer.code, "refresh_token_reused");
    expect.equal("its successor", (await client.refresh(second.refresh_token)).code, "session_revoked");
    expect.equal("its access token", (await client.users(second.access_token)).code, "token_revoked");
  });

  const refreshExpiry = step("expired refresh token", async (expect) => {
    const client = createClient(url);
    const { refresh_token, refresh_expires_in } = await client.tokens();
    await waitOut(refresh_expires_in);
    const answer = await client.refresh(refresh_token);
    expect.equal("status", answer.status, 401);
    expect.equal("code", answer.code, "refresh_token_expired");
  });

  const accessExpiry = step("expired access token", async (expect) => {
    const client = createClient(url);
    const { access_token, expires_in } = await client.tokens();
    expect.equal("GET at once", (await client.users(access_token)).status, 200);
    await waitOut(expires_in + CLOCK_SKEW_SECONDS);
    const answer = await client.users(access_token);
    expect.equal("GET after exp", answer.status, 401);
    expect.equal("code", answer.code, "token_expired");
  });

  await Promise.all([reuse, refreshExpiry, accessExpiry]);
}

function isShortLived({ expires_in, refresh_expires_in }: Tokens): boolean {
  return Math.max(expires_in, refresh_expires_in) <= SHORT_LIFETIME_SECONDS;
}

/** Whether the Postern on `url` is short-lived; null when nothing answers there. */
async function probe(url: string): Promise<boolean | null> {
  try {
    const login = await createClient(url).login();
    return login.status === 200 && isShortLived(tokensOf(login));
  } catch {
    return null;
  }
}

async function main(): Promise<boolean> {
  const { values } = parseArgs({
    options: {
      url: { type: "string", default: DEFAULT_URL },
      start: { type: "boolean", default: false },
      "expires-in": { type: "string", default: String(DEFAULT_EXPIRES_IN_SECONDS) },
    },
  });
  const report = createReport();
  const servers: Server[] = [];
  const start = async (flags: readonly string[]): Promise<string> => {
    const server = await startPostern(flags);
    servers.push(server);
    return server.url;
  };

  try {
    const url = values.start ? await start([]) : values.url;
    const shortLived = await probe(url);
    if (shortLived === null) {
      console.error(
        `Nothing answers on ${url}. Run \`npm run dev\` in another terminal, or \`npm run smoke -- --start\`.`,
      );
      return false;
    }
    console.log(`Postern on ${url}\n`);
    await walkThrough(url, Number(values["expires-in"]), report);

    let shortLivedUrl = shortLived ? url : null;
    if (!shortLived) {
      await report.step("start a short-lived Postern", async (expect) => {
        shortLivedUrl = await start(SHORT_LIVED.flatMap((variable) => ["--var", variable]));
        expect.true(`${SHORT_LIVED.join(", ")} on ${shortLivedUrl}`, true);
      });
    }
    if (shortLivedUrl !== null) await outwait(shortLivedUrl, report);
  } finally {
    await Promise.all(servers.map((server) => server.stop()));
  }
  return report.finish();
}

try {
  process.exitCode = (await main()) ? 0 : 1;
} catch (error) {
  console.error(`npm run smoke: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
