import { httpbis } from "http-message-signatures";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { identityFields, type Identity } from "../../src/origin/identity.ts";
import { createIdentitySigner } from "../../src/origin/identity-signature.ts";

const NOW = 1_790_000_000_123;
const secret = Uint8Array.from({ length: 32 }, (_, index) => index);
const signer = createIdentitySigner(secret, "postern-1");
const alice: Identity = { userId: "u-1", role: "admin", sessionId: "s-1", method: "jwt" };

interface Sent {
  method: string;
  url: string;
  headers: Record<string, string>;
}

async function send(method: string, path: string, query: string, identity: Identity = alice): Promise<Sent> {
  const fields = identityFields(identity, "r-1");
  const { signatureInput, signature } = await signer.sign({ method, path, query, fields }, NOW);
  return {
    method,
    url: `https://api.example.com${path}${query}`,
    headers: { ...Object.fromEntries(fields), "signature-input": signatureInput, signature },
  };
}

/** Verified by a published implementation of RFC 9421 that shares no line with ours. */
async function isAccepted(message: Sent, requiredFields: string[] = []): Promise<boolean> {
  const key = await crypto.subtle.importKey("raw", secret, { name: "HMAC", hash: "SHA-256" }, false, ["verify"]);
  const verified = await httpbis
    .verifyMessage(
      {
        requiredFields,
        requiredParams: ["created", "expires", "keyid", "alg"],
        keyLookup: ({ keyid }) =>
          Promise.resolve(
            keyid === "postern-1"
              ? {
                  id: keyid,
                  algs: ["hmac-sha256"],
                  verify: (data, signature) =>
                    crypto.subtle.verify("HMAC", key, Uint8Array.from(signature), Uint8Array.from(data)),
                }
              : null,
          ),
      },
      message,
    )
    .catch(() => false);
  return verified === true;
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date"], now: NOW });
});
afterEach(() => {
  vi.useRealTimers();
});

const ALL = ["@method", "@path", "@query", "x-user-id", "x-user-role", "x-session-id", "x-auth-method", "x-request-id"];

describe("the signature of the identity headers", () => {
  test("has the form of the contract, and expires 60 s after it was made", async () => {
    const { headers } = await send("GET", "/api/users", "?a=b");
    expect(headers["signature-input"]).toBe(
      'postern=("@method" "@path" "@query" "x-user-id" "x-user-role" "x-session-id" "x-auth-method" "x-request-id")' +
        ';created=1790000000;expires=1790000060;keyid="postern-1";alg="hmac-sha256"',
    );
    expect(headers["signature"]).toMatch(/^postern=:[A-Za-z0-9+/]{43}=:$/);
  });

  test("on a public route leaves the identity components out", async () => {
    const { headers } = await send("GET", "/", "", null);
    expect(headers["signature-input"]).toBe(
      'postern=("@method" "@path" "@query" "x-request-id")' +
        ';created=1790000000;expires=1790000060;keyid="postern-1";alg="hmac-sha256"',
    );
  });

  test.each([
    ["with a query", "GET", "/api/users", "?a=b&c=%20d"],
    ["without a query", "GET", "/api/users", ""],
    ["with an empty query", "GET", "/api/users", "?"],
    ["with a path beyond ASCII", "DELETE", "/api/caf%C3%A9", "?n=%E2%82%AC"],
    ["with any method", "PROPFIND", "/", ""],
  ])("is accepted by an independent implementation: %s", async (_name, method, path, query) => {
    expect(await isAccepted(await send(method, path, query), ALL)).toBe(true);
  });

  test("on a public route is accepted too, but covers no identity", async () => {
    const message = await send("GET", "/", "", null);
    expect(await isAccepted(message)).toBe(true);
    expect(await isAccepted(message, ALL)).toBe(false);
  });

  test.each<[string, (message: Sent) => Partial<Sent>]>([
    ["method", () => ({ method: "POST" })],
    ["path", () => ({ url: "https://api.example.com/api/admin?a=b" })],
    ["query", () => ({ url: "https://api.example.com/api/users?a=c" })],
    ["role", ({ headers }) => ({ headers: { ...headers, "x-user-role": "root" } })],
    ["user", ({ headers }) => ({ headers: { ...headers, "x-user-id": "u-2" } })],
    ["request id", ({ headers }) => ({ headers: { ...headers, "x-request-id": "r-2" } })],
    [
      "expiry",
      ({ headers }) => ({
        headers: { ...headers, "signature-input": (headers["signature-input"] ?? "").replace("0060", "9060") },
      }),
    ],
  ])("does not verify with another %s", async (_name, change) => {
    const message = await send("GET", "/api/users", "?a=b");
    expect(await isAccepted({ ...message, ...change(message) })).toBe(false);
  });

  test("does not verify after it expired", async () => {
    const message = await send("GET", "/api/users", "");
    vi.setSystemTime(NOW + 60_000);
    expect(await isAccepted(message)).toBe(true);
    vi.setSystemTime(NOW + 61_000);
    expect(await isAccepted(message)).toBe(false);
  });
});
