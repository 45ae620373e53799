// D1 taken back in time (Time Travel) under objects that remember what came after: what docs/operations.md tells an
// operator to do about it, and why.
import { env } from "cloudflare:workers";
import { describe, expect, test } from "vitest";
import { Edge, loggedIn, problemOf } from "./support.ts";

describe("a database that was taken back", () => {
  test("keeps out whoever was changed since, until every revision is raised", async () => {
    const edge = new Edge();
    const admin = await loggedIn(edge, "admin");
    const user = await loggedIn(edge);
    const patched = await edge.fetch(`/admin/users/${user.id}`, {
      method: "PATCH",
      bearer: admin.tokens.access_token,
      json: { role: "editor" },
    });
    expect(patched.status).toBe(200);

    await env.DB.prepare("UPDATE users SET revision = 1, role = 'user' WHERE id = ?1").bind(user.id).run();
    const refused = await edge.login(user.username);
    expect(refused.status).toBe(503);
    expect((await problemOf(refused)).code).toBe("dependency_unavailable");

    await env.DB.prepare("UPDATE users SET revision = revision + 1000000").run();
    expect((await edge.login(user.username)).status).toBe(200);
  });
});
