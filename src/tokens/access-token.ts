/**
 * Access tokens: RS256 JWTs of RFC 9068 (`typ: at+jwt`), 15 minutes, nothing personal in them. Verification follows
 * RFC 8725: algorithm and type pinned, issuer and audience required, one canonical spelling per token. That a token is
 * good says nothing about its session: ask sessions/ whether it is still live.
 */
import { errors, jwtVerify, SignJWT } from "jose";
import { BoundedMap } from "../kit/bounded-map.ts";
import { fromBase64Url, isUuid, utf8, uuidV7 } from "../kit/encoding.ts";
import type { TokenFault } from "../kit/failure.ts";
import { fail, ok, type Result } from "../kit/result.ts";
import type { Runtime } from "../kit/runtime.ts";
import type { Keyring } from "./keyring.ts";
import { SIGNING_ALG } from "./key-store.ts";

const TYPE = "at+jwt";
/** How far the clocks of two machines may be apart. */
export const CLOCK_SKEW_SECONDS = 5;
/** How many verified tokens an isolate remembers: some 10 MB at the most. */
const REMEMBERED_TOKENS = 5_000;
/** Ours are under 900 bytes; whoever sends more has not got one of ours. */
const TOKEN_LIMIT_CHARACTERS = 4096;

export interface AccessClaims {
  readonly userId: string;
  readonly sessionId: string;
  readonly role: string;
  /** Seconds since 1970. */
  readonly expiresAt: number;
}

export interface AccessTokenOptions {
  readonly issuer: string;
  readonly audience: string;
  readonly clientId: string;
  readonly lifetimeSeconds: number;
}

export interface AccessTokens {
  /** Signs a token for a session, valid for `lifetimeSeconds` from now. One RSA signature. */
  issue(subject: Omit<AccessClaims, "expiresAt">, lifetimeSeconds: number): Promise<Result<string>>;
  /** Fails with `invalid_token`, `token_expired`, or `dependency_unavailable` when there are no keys to check with. */
  verify(token: string): Promise<Result<AccessClaims>>;
}

function refuse(fault: TokenFault) {
  return fail({ code: "invalid_token", fault });
}

interface Header {
  readonly alg: string;
  readonly typ: string;
  readonly kid: string;
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function parseObject(bytes: Uint8Array): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(decoder.decode(bytes));
    return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : null;
  } catch {
    return null;
  }
}

/**
 * The header of a token in canonical compact form (RFC 7515 section 7.1), with the faults that can be told without a
 * key. Libraries decode base64url leniently, so one signature has many spellings; here it has one.
 */
function readHeader(token: string): Result<Header> {
  if (token.length > TOKEN_LIMIT_CHARACTERS) return refuse("malformed");
  const segments = token.split(".").map(fromBase64Url);
  const [header] = segments;
  if (segments.length !== 3 || !header || segments.some((bytes) => bytes === null || bytes.byteLength === 0)) {
    return refuse("malformed");
  }
  const fields = parseObject(header);
  if (fields === null) return refuse("malformed");
  const { alg, typ, kid } = fields;
  if (alg !== SIGNING_ALG) return refuse("algorithm");
  if (typ !== TYPE) return refuse("type");
  if (typeof kid !== "string") return refuse("unknown_key");
  return ok({ alg, typ, kid });
}

function faultOf(error: unknown): "expired" | TokenFault {
  if (error instanceof errors.JWTExpired) return "expired";
  if (error instanceof errors.JWSSignatureVerificationFailed) return "signature";
  if (error instanceof errors.JWTClaimValidationFailed) {
    if (error.claim === "iss") return "issuer";
    return error.claim === "aud" ? "audience" : "claims";
  }
  return "malformed";
}

export function createAccessTokens(keyring: Keyring, options: AccessTokenOptions, runtime: Runtime): AccessTokens {
  const { issuer, audience, clientId, lifetimeSeconds: longestSeconds } = options;
  /**
   * Tokens whose signature was checked, by their exact (and only) spelling. A hit spares the RSA work and nothing else:
   * the key must still be published and the token unexpired each time.
   */
  const verified = new BoundedMap<string, { readonly kid: string; readonly claims: AccessClaims }>(REMEMBERED_TOKENS);

  const claimsOf = (payload: Record<string, unknown>, nowSeconds: number): AccessClaims | null => {
    const { sub, sid, role, client_id, iat, exp, jti } = payload;
    if (typeof iat !== "number" || typeof exp !== "number" || typeof jti !== "string") return null;
    if (typeof sub !== "string" || !isUuid(sub) || typeof sid !== "string" || !isUuid(sid)) return null;
    if (typeof role !== "string" || client_id !== clientId) return null;
    if (!Number.isInteger(iat) || !Number.isInteger(exp)) return null;
    // A key that signs longer-lived tokens than configured is a key in other hands.
    if (exp <= iat || exp - iat > longestSeconds || iat > nowSeconds + CLOCK_SKEW_SECONDS) return null;
    return { userId: sub, sessionId: sid, role, expiresAt: exp };
  };

  const verifySignature = async (token: string): Promise<Result<AccessClaims>> => {
    const header = readHeader(token);
    if (!header.ok) return header;
    const { kid } = header.value;
    const key = await keyring.verificationKey(kid);
    if (!key.ok) return key;
    if (key.value === null) return refuse("unknown_key");
    const now = runtime.now();
    try {
      const { payload } = await jwtVerify(utf8(token), key.value, {
        algorithms: [SIGNING_ALG],
        typ: TYPE,
        issuer,
        audience,
        requiredClaims: ["iss", "aud", "sub", "sid", "role", "client_id", "iat", "exp", "jti"],
        clockTolerance: CLOCK_SKEW_SECONDS,
        currentDate: new Date(now),
      });
      const claims = claimsOf(payload, now / 1000);
      if (claims === null) return refuse("claims");
      verified.set(token, { kid, claims });
      return ok(claims);
    } catch (error) {
      const fault = faultOf(error);
      return fault === "expired" ? fail({ code: "token_expired" }) : refuse(fault);
    }
  };

  return {
    async issue({ userId, sessionId, role }, lifetimeSeconds) {
      const key = await keyring.signingKey();
      if (!key.ok) return key;
      const now = runtime.now();
      const issuedAt = Math.floor(now / 1000);
      const token = await new SignJWT({ sid: sessionId, role, client_id: clientId })
        .setProtectedHeader({ alg: SIGNING_ALG, typ: TYPE, kid: key.value.kid })
        .setIssuer(issuer)
        .setAudience(audience)
        .setSubject(userId)
        .setIssuedAt(issuedAt)
        .setExpirationTime(issuedAt + lifetimeSeconds)
        .setJti(uuidV7(now, runtime.randomBytes(10)))
        .sign(key.value.privateKey);
      return ok(token);
    },

    async verify(token) {
      const known = verified.get(token);
      if (known === undefined) return verifySignature(token);
      const key = await keyring.verificationKey(known.kid);
      if (!key.ok) return key;
      if (key.value === null) return refuse("unknown_key");
      const isExpired = runtime.now() / 1000 >= known.claims.expiresAt + CLOCK_SKEW_SECONDS;
      return isExpired ? fail({ code: "token_expired" }) : ok(known.claims);
    },
  };
}
