// Writes docs/origin/vectors.json: requests as a client sends them, and what the origin then receives. With --check it
// only tells whether the file is current. The vectors are made by the gateway's own code; what proves them right is that
// the verifiers in docs/origin/, written against published libraries, accept them.
import { readFile, writeFile } from "node:fs/promises";
import { identityFields, type Identity } from "../src/origin/identity.ts";
import { rewriteRequestHeaders } from "../src/origin/headers.ts";
import { createIdentitySigner } from "../src/origin/identity-signature.ts";
import { normalisePath, splitTarget } from "../src/origin/path.ts";

const FILE = new URL("../docs/origin/vectors.json", import.meta.url);
const CREATED = 1_790_000_000;
const KEY_ID = "postern-1";
/** For tests only: the bytes 0 to 31. */
const KEY = Uint8Array.from({ length: 32 }, (_, index) => index);

interface ClientRequest {
  readonly name: string;
  readonly method: string;
  readonly url: string;
  readonly headers: Record<string, string>;
  readonly identity: Identity;
}

const user: Identity = {
  userId: "0199a6c8-5d00-7000-8000-000000000001",
  role: "user",
  sessionId: "0199a6c8-5d00-7000-8000-00000000000a",
  method: "jwt",
};
const admin: Identity = { ...user, role: "admin", method: "session" };

const REQUESTS: readonly ClientRequest[] = [
  {
    name: "a query",
    method: "GET",
    url: "https://api.example.com/api/users?role=admin&sort=name",
    headers: { Accept: "application/json", Authorization: "Bearer not-forwarded" },
    identity: user,
  },
  {
    name: "no query",
    method: "DELETE",
    url: "https://api.example.com/api/users/7",
    headers: { Cookie: "theme=dark; session_id=not-forwarded" },
    identity: admin,
  },
  {
    name: "an empty query",
    method: "GET",
    url: "https://api.example.com/api/users?",
    headers: {},
    identity: user,
  },
  {
    name: "a path and a query beyond ASCII, in a spelling that is normalised",
    method: "POST",
    url: "https://api.example.com/api/x/..//caf%c3%a9/%7Eme?name=J%C3%BCrgen%20M.",
    headers: { "Content-Type": "application/json" },
    identity: user,
  },
  {
    name: "forged identity headers",
    method: "PUT",
    url: "https://api.example.com/api/profile",
    headers: {
      "X-User-Id": "forged",
      X_User_Role: "forged",
      "X-Forwarded-For": "192.0.2.66",
      Signature: "forged=:AA==:",
    },
    identity: user,
  },
  {
    name: "a public route",
    method: "GET",
    url: "https://api.example.com/api/public/news?page=2",
    headers: { Accept: "text/html", "X-User-Id": "forged" },
    identity: null,
  },
];

async function vector(request: ClientRequest, index: number) {
  const { name, method, url, headers: sent, identity } = request;
  const { rawPath, query } = splitTarget(url);
  const path = normalisePath(rawPath);
  if (!path.ok) throw new Error(`${name}: ${path.failure.code}`);
  const target = new URL(`https://api.example.com${path.value}${query}`);
  const requestId = `vector-${index + 1}`;
  const headers = new Headers(sent);
  const facts = { identity, requestId, clientAddress: "203.0.113.7", scheme: "https", host: target.host };
  rewriteRequestHeaders(headers, facts, false);
  const signed = await createIdentitySigner(KEY, KEY_ID).sign(
    { method, path: target.pathname, query: target.search, fields: identityFields(identity, requestId) },
    CREATED * 1000,
  );
  headers.set("signature-input", signed.signatureInput);
  headers.set("signature", signed.signature);
  return {
    name,
    client_sends: { method, url, headers: sent },
    origin_receives: { method, target: target.pathname + target.search, headers: Object.fromEntries(headers) },
    identity:
      identity === null ? null : { user_id: identity.userId, role: identity.role, session_id: identity.sessionId },
  };
}

/** The file as it has to be. */
async function render(): Promise<string> {
  const vectors = {
    keyid: KEY_ID,
    key: Buffer.from(KEY).toString("base64"),
    created: CREATED,
    vectors: await Promise.all(REQUESTS.map(vector)),
  };
  return `${JSON.stringify(vectors, null, 2)}\n`;
}

const expected = await render();
if (process.argv.includes("--check")) {
  if ((await readFile(FILE, "utf8").catch(() => "")) !== expected) {
    console.error("docs/origin/vectors.json is out of date: node scripts/origin-vectors.ts");
    process.exitCode = 1;
  }
} else {
  await writeFile(FILE, expected);
}
