// Run: node --test docs/origin/node/jwt.test.ts
// oxlint-disable typescript/no-floating-promises -- node:test waits for its own tests
import assert from "node:assert/strict";
import { test } from "node:test";
import { createLocalJWKSet, exportJWK, generateKeyPair, SignJWT } from "jose";
import { verifyAccessToken } from "./jwt.ts";

const { publicKey, privateKey } = await generateKeyPair("RS256");
const keys = createLocalJWKSet({ keys: [{ ...(await exportJWK(publicKey)), kid: "k", alg: "RS256", use: "sig" }] });
const ISSUER = "https://auth.example.com";

function bearer(header: Record<string, string> = {}, claims: Record<string, string> = {}): Promise<string> {
  return new SignJWT({ iss: ISSUER, aud: "api", sub: "u-1", role: "user", sid: "s-1", ...claims })
    .setProtectedHeader({ alg: "RS256", typ: "at+jwt", kid: "k", ...header })
    .setExpirationTime("1m")
    .sign(privateKey)
    .then((token) => `Bearer ${token}`);
}

test("accepts an access token", async () => {
  const user = await verifyAccessToken(await bearer(), keys, ISSUER, "api");
  assert.deepEqual(user, { userId: "u-1", role: "user", sessionId: "s-1" });
});

test("refuses another type, audience or issuer, and no token", async () => {
  await assert.rejects(verifyAccessToken(await bearer({ typ: "JWT" }), keys, ISSUER, "api"));
  await assert.rejects(verifyAccessToken(await bearer({}, { aud: "other" }), keys, ISSUER, "api"));
  await assert.rejects(verifyAccessToken(await bearer({}, { iss: "https://evil" }), keys, ISSUER, "api"));
  await assert.rejects(verifyAccessToken(undefined, keys, ISSUER, "api"));
});
