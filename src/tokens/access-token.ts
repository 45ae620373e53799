/**
 * Access tokens: RS256 JWTs of RFC 9068 (`typ: at+jwt`), 15 minutes, nothing personal in them. Verification follows
 * RFC 8725: algorithm and type pinned, issuer and audience required, one canonical spelling per token. That a token is
 * good says nothing about its session: ask sessions/ whether it is still live.
 */
import { BoundedMap } from "../kit/bounded-map.ts";
import { isUuid, uuidV7 } from "../kit/encoding.ts";
import type { TokenFault } from "../kit/failure.ts";
import { fail, ok, type Result } from "../kit/result.ts";
import type { Runtime } from "../kit/runtime.ts";
import type { Keyring } from "./keyring.ts";
import { type Jws, type JsonObject, parseJws, SIGNING_ALG, signJws, verifyJws } from "./jws.ts";

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

function isExpired({ expiresAt }: AccessClaims, now: number): boolean {
  return now / 1000 >= expiresAt + CLOCK_SKEW_SECONDS;
}

function refuse(fault: TokenFault) {
  return fail({ code: "invalid_token", fault });
}

/**
 * The token taken apart, with the faults that can be told without a key (RFC 8725 sections 3.1 and 3.11). An extension
 * marked critical is one we do not know (RFC 7515 section 4.1.11).
 */
function readToken(token: string): Result<Jws & { readonly kid: string }> {
  const jws = token.length > TOKEN_LIMIT_CHARACTERS ? null : parseJws(token);
  if (jws === null) return refuse("malformed");
  const { alg, typ, kid, crit } = jws.header;
  if (alg !== SIGNING_ALG) return refuse("algorithm");
  if (typ !== TYPE) return refuse("type");
  if (crit !== undefined) return refuse("malformed");
  return typeof kid === "string" ? ok({ ...jws, kid }) : refuse("unknown_key");
}

export function createAccessTokens(keyring: Keyring, options: AccessTokenOptions, runtime: Runtime): AccessTokens {
  const { issuer, audience, clientId, lifetimeSeconds: longestSeconds } = options;
  /**
   * Tokens whose signature was checked, by their exact (and only) spelling. A hit spares the RSA work and nothing else:
   * the key must still be published and the token unexpired each time.
   */
  const verified = new BoundedMap<string, { readonly kid: string; readonly claims: AccessClaims }>(REMEMBERED_TOKENS);

  /** The claims of a payload whose signature is good, or what is wrong with them. */
  const readClaims = (payload: JsonObject, now: number): Result<AccessClaims> => {
    const { iss, aud, sub, sid, role, client_id, iat, exp, jti } = payload;
    if (iss !== issuer) return refuse("issuer");
    if (aud !== audience) return refuse("audience");
    if (typeof sub !== "string" || !isUuid(sub) || typeof sid !== "string" || !isUuid(sid)) return refuse("claims");
    if (typeof role !== "string" || client_id !== clientId || typeof jti !== "string") return refuse("claims");
    if (typeof iat !== "number" || typeof exp !== "number") return refuse("claims");
    if (!Number.isSafeInteger(iat) || !Number.isSafeInteger(exp)) return refuse("claims");
    // A key that signs longer-lived tokens than configured is a key in other hands.
    if (exp <= iat || exp - iat > longestSeconds || iat > now / 1000 + CLOCK_SKEW_SECONDS) return refuse("claims");
    const claims = { userId: sub, sessionId: sid, role, expiresAt: exp };
    return isExpired(claims, now) ? fail({ code: "token_expired" }) : ok(claims);
  };

  const verifyUnknown = async (token: string): Promise<Result<AccessClaims>> => {
    const jws = readToken(token);
    if (!jws.ok) return jws;
    const { kid, payload } = jws.value;
    const key = await keyring.verificationKey(kid);
    if (!key.ok) return key;
    if (key.value === null) return refuse("unknown_key");
    if (!(await verifyJws(jws.value, key.value))) return refuse("signature");
    const claims = readClaims(payload, runtime.now());
    if (claims.ok) verified.set(token, { kid, claims: claims.value });
    return claims;
  };

  return {
    async issue({ userId, sessionId, role }, lifetimeSeconds) {
      const key = await keyring.signingKey();
      if (!key.ok) return key;
      const now = runtime.now();
      const issuedAt = Math.floor(now / 1000);
      const payload = {
        iss: issuer,
        aud: audience,
        sub: userId,
        sid: sessionId,
        role,
        client_id: clientId,
        iat: issuedAt,
        exp: issuedAt + lifetimeSeconds,
        jti: uuidV7(now, runtime.randomBytes(10)),
      };
      return ok(await signJws(payload, TYPE, key.value.kid, key.value.privateKey));
    },

    async verify(token) {
      const known = verified.get(token);
      if (known === undefined) return verifyUnknown(token);
      const key = await keyring.verificationKey(known.kid);
      if (!key.ok) return key;
      if (key.value === null) return refuse("unknown_key");
      return isExpired(known.claims, runtime.now()) ? fail({ code: "token_expired" }) : ok(known.claims);
    },
  };
}
