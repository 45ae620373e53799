import { env } from "cloudflare:workers";
import { test } from "vitest";
const go = (path: string, init?: RequestInit) => env.ORIGIN.fetch(`http://x${path}`, init);
test("all", async ({ expect }) => {
  expect((await (await go("/api/users", { headers: { "x-user-id": "u" } })).json() as any).requested_by).toEqual({ id: "u", role: null });
  console.log(await (await go("/api/echo?a=1", { method: "POST", body: "hé", headers: [["x-a", "1"], ["X-A", "2"]] })).text());
  const s = await go("/api/stream?n=3&ms=100"); const t = Date.now(); const seen: [number, string][] = [];
  for await (const c of s.body!) seen.push([Date.now() - t, new TextDecoder().decode(c)]);
  console.log(seen);
  const b = await go("/api/bytes?n=300000000"); console.log(b.headers.get("content-length")); let n = 0; for await (const c of b.body!) n += c.byteLength; expect(n).toBe(300000000);
  expect((await (await go("/api/bytes?n=0")).arrayBuffer()).byteLength).toBe(0);
  expect(await (await go("/api/upload", { method: "POST", body: new Uint8Array(1e6) })).json()).toEqual({ bytes: 1e6 });
  expect(await (await go("/api/upload", { method: "POST" })).json()).toEqual({ bytes: 0 });
  for (const c of [200, 204, 205, 301, 304, 404, 500]) { const r = await go(`/api/status?code=${c}`, { redirect: "manual" }); expect(r.status).toBe(c); console.log(c, r.headers.get("location"), await r.text()); }
  expect((await go("/api/cookies")).headers.getSetCookie()).toHaveLength(2);
  expect((await go("/api/ws")).status).toBe(426);
  expect((await go("/nope")).status).toBe(404);
  const page = await go("/"); expect(page.headers.get("content-type")).toContain("text/html"); await page.text();
  const ws = (await go("/api/ws", { headers: { upgrade: "websocket" } })).webSocket!; ws.binaryType = "arraybuffer"; ws.accept();
  const msgs: unknown[] = []; const closed = new Promise<CloseEvent>((r) => ws.addEventListener("close", r as any));
  ws.addEventListener("message", (e) => { msgs.push(e.data); if (msgs.length === 2) ws.close(4001, "bye"); });
  ws.send("text"); ws.send(new Uint8Array([1, 2, 3]));
  const c = await closed; console.log(msgs, c.code, c.reason);
  const ws2 = (await go("/api/ws", { headers: { upgrade: "websocket" } })).webSocket!; ws2.accept(); const cl2 = new Promise<CloseEvent>((r) => ws2.addEventListener("close", r as any)); ws2.close(); console.log((await cl2).code);
  const t2 = Date.now(); console.log(await (await go("/api/slow?ms=150")).text(), Date.now() - t2);
});
