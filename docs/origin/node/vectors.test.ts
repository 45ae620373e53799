// oxlint-disable typescript/no-floating-promises -- node:test waits for its own tests
// The verifier and both middlewares against the shared vectors. Run: node --test docs/origin/node/vectors.test.ts
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { beforeEach, mock, test } from "node:test";
import { Hono } from "hono";
import { postern as express } from "./express.ts";
import { postern as hono } from "./hono.ts";
import { type Verified, verifyPostern } from "./verify.ts";

interface Vector {
  name: string;
  origin_receives: { method: string; target: string; headers: Record<string, string> };
  identity: { user_id: string; role: string; session_id: string } | null;
}
interface Vectors {
  keyid: string;
  key: string;
  created: number;
  vectors: Vector[];
}

const file: Vectors = JSON.parse(readFileSync(new URL("../vectors.json", import.meta.url), "utf8"));
const key = Buffer.from(file.key, "base64");
const keys = new Map([[file.keyid, key]]);
const find = (start: string): Vector["origin_receives"] => {
  const vector = file.vectors.find(({ name }) => name.startsWith(start));
  assert(vector);
  return vector.origin_receives;
};
const query = find("a query");
const open = find("a public route");

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["Date"], now: file.created * 1000 });
});

for (const { name, origin_receives: r, identity } of file.vectors) {
  test(`accepts ${name}`, async () => {
    const verified = await verifyPostern(r.method, r.target, r.headers, keys);
    assert.equal(verified.requestId, r.headers["x-request-id"]);
    assert.equal(verified.identity?.userId, identity?.user_id);
    assert.equal(verified.identity?.role, identity?.role);
    assert.equal(verified.identity?.sessionId, identity?.session_id);
  });
}

test("accepts two keys while one is being replaced", async () => {
  const both = new Map([["postern-2", Buffer.alloc(32, 1)], ...keys]);
  assert((await verifyPostern(query.method, query.target, query.headers, both)).identity);
});

const input = query.headers["signature-input"] ?? "";
const refused: Record<string, [target: string, headers: Record<string, string>, keys?: Map<string, Buffer>]> = {
  "another path": ["/api/admin?role=admin&sort=name", query.headers],
  "another query": ["/api/users?role=admin", query.headers],
  "another role": [query.target, { ...query.headers, "x-user-role": "admin" }],
  "a second user id": [query.target, { ...query.headers, "x-user-id": `${query.headers["x-user-id"]}, other` }],
  "an unknown keyid": [query.target, query.headers, new Map([["postern-2", key]])],
  "another key": [query.target, query.headers, new Map([[file.keyid, Buffer.alloc(32, 1)]])],
  "a signature over fewer components": [
    query.target,
    { ...query.headers, "signature-input": input.replace(' "x-user-role"', "") },
  ],
  "identity headers under a public signature": [open.target, { ...open.headers, "x-user-id": "1" }],
  "a later expiry": [query.target, { ...query.headers, "signature-input": input.replace("0060", "9060") }],
  "no signature": [query.target, { "x-user-id": "1" }],
};
for (const [name, [target, headers, otherKeys]] of Object.entries(refused)) {
  test(`refuses ${name}`, () => assert.rejects(verifyPostern("GET", target, headers, otherKeys ?? keys)));
}

test("refuses another method", () => assert.rejects(verifyPostern("POST", query.target, query.headers, keys)));

test("refuses what has expired", async () => {
  mock.timers.setTime((file.created + 66) * 1000);
  await assert.rejects(verifyPostern(query.method, query.target, query.headers, keys));
});

test("the Express middleware lets through what is signed, and answers 401 to the rest", async () => {
  const seen: (Verified | undefined)[] = [];
  const middleware = express(keys);
  const server = createServer((incoming, response) => {
    void middleware(incoming, response, () => {
      seen.push((incoming as { postern?: Verified }).postern);
      response.end();
    });
  });
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const send = (path: string) =>
    new Promise<number | undefined>((resolve, reject) => {
      const { method, headers } = query;
      request({ port, host: "127.0.0.1", method, path, headers }, (r) => resolve(r.resume().statusCode))
        .on("error", reject)
        .end();
    });
  assert.equal(await send(query.target), 200);
  assert.equal(await send("/api/other"), 401);
  assert.equal(seen[0]?.identity?.role, "user");
  server.closeAllConnections();
  server.close();
});

test("the Hono middleware lets through what is signed, and answers 401 to the rest", async () => {
  const app = new Hono().use(hono(keys)).get("*", (c) => c.json({ role: c.get("postern").identity?.role }));
  const send = (target: string) => app.request(`http://origin${target}`, { headers: query.headers });
  assert.deepEqual(await (await send(query.target)).json(), { role: "user" });
  assert.equal((await send("/api/other")).status, 401);
});
