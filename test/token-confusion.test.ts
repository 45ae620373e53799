// One kind of credential shown in the place of another (RFC 8725 sections 2.8 and 3.12): each is good for one thing.
import { beforeAll, describe, expect, test } from "vitest";
import { Edge, loggedIn, problemOf, type TokenResponse } from "./support.ts";

const edge = new Edge();
let tokens: TokenResponse;

beforeAll(async () => {
  ({ tokens } = await loggedIn(edge));
});

describe("a credential is refused where another belongs", () => {
  test("a refresh token as a bearer token", async () => {
    const response = await edge.users(tokens.refresh_token);
    expect(response.status).toBe(401);
    expect((await problemOf(response)).code).toBe("invalid_token");
  });

  test("an access token as a refresh token, in the body and in the cookie", async () => {
    const inBody = await edge.refresh(tokens.access_token);
    expect((await problemOf(inBody)).code).toBe("invalid_refresh_token");
    const inCookie = await edge.fetch("/auth/refresh", {
      method: "POST",
      headers: { Cookie: `__Host-refresh_token=${tokens.access_token}` },
    });
    expect((await problemOf(inCookie)).code).toBe("invalid_refresh_token");
  });

  test("either of them as a session cookie", async () => {
    const sessions = new Edge({ SESSION_AUTH: "on" });
    for (const token of [tokens.access_token, tokens.refresh_token]) {
      const response = await sessions.fetch("/api/users", { headers: { Cookie: `session_id=${token}` } });
      expect(response.status).toBe(401);
      expect((await problemOf(response)).code).toBe("invalid_session");
    }
  });

  test("an encrypted token, in five segments", async () => {
    const response = await edge.users(`${tokens.access_token}.AAAA.AAAA`);
    expect((await problemOf(response)).code).toBe("invalid_token");
  });

  test("a token of the same keys for another API, another issuer or another client", async () => {
    for (const other of [
      { AUDIENCE: "another-api" },
      { ISSUER: "https://another.example" },
      { CLIENT_ID: "another" },
    ]) {
      const response = await new Edge(other).users(tokens.access_token);
      expect(response.status).toBe(401);
      expect((await problemOf(response)).code).toBe("invalid_token");
    }
  });
});
