// Verifies the access token itself, for an origin behind FORWARD_AUTHORIZATION=true, with the npm package jose.
//
//   const keys = createRemoteJWKSet(new URL("https://auth.example.com/.well-known/jwks.json"));
//   const user = await verifyAccessToken(request.headers.authorization, keys, "https://auth.example.com", "api");
import { type JWTVerifyGetKey, jwtVerify } from "jose";

/** @throws when there is no valid access token. A revoked one is valid here until it expires: Postern has checked that. */
export async function verifyAccessToken(
  authorization: string | undefined,
  keys: JWTVerifyGetKey,
  issuer: string,
  audience: string,
): Promise<{ userId: string; role: string; sessionId: string }> {
  const token = /^Bearer ([\w.-]+)$/i.exec(authorization ?? "")?.[1] ?? "";
  const { payload } = await jwtVerify(token, keys, {
    algorithms: ["RS256"],
    typ: "at+jwt",
    issuer,
    audience,
    requiredClaims: ["exp", "sub", "role", "sid"],
    clockTolerance: 5,
  });
  return { userId: String(payload.sub), role: String(payload["role"]), sessionId: String(payload["sid"]) };
}
