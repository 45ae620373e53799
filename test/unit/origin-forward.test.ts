import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { boundOrigin, createForwarder, type Forwarding, originAt } from "../../src/origin/forward.ts";
import { createIdentitySigner } from "../../src/origin/identity-signature.ts";

const forwarding: Forwarding = {
  path: "/api/users",
  query: "?a=b",
  identity: { userId: "u-1", role: "user", sessionId: "s-1", method: "session" },
  requestId: "r-1",
  clientAddress: "203.0.113.7",
  now: 1_790_000_000_000,
};

type Answer = (request: Request) => Response | Promise<Response>;

/** A forwarder to `answer`, and everything it did. */
function forwarderTo(answer: Answer, url?: string) {
  const seen: Request[] = [];
  const timers: { milliseconds: number; run: () => void; cancelled: boolean }[] = [];
  const fetchOrigin = async (request: Request) => {
    seen.push(request);
    return answer(request);
  };
  const forwarder = createForwarder({
    origin: url === undefined ? boundOrigin(fetchOrigin) : originAt(new URL(url), fetchOrigin),
    signer: createIdentitySigner(new Uint8Array(32), "postern-1"),
    timeoutMs: 30_000,
    keepAuthorization: false,
    startTimer: (milliseconds, run) => {
      const timer = { milliseconds, run, cancelled: false };
      timers.push(timer);
      return () => {
        timer.cancelled = true;
      };
    },
  });
  return {
    seen,
    timers,
    forward: (request: Request, more: Partial<Forwarding> = {}) =>
      forwarder.forward(request, { ...forwarding, ...more }),
  };
}

/** The response of a forwarding that has to succeed. */
async function responseOf(answer: Answer, init?: RequestInit): Promise<Response> {
  const result = await forwarderTo(answer).forward(new Request("https://api.example.com/api/users?a=b", init));
  if (!result.ok) throw new Error(result.failure.code);
  return result.value;
}

const logged: string[] = [];
beforeEach(() => {
  logged.length = 0;
  vi.spyOn(console, "error").mockImplementation((line: string) => void logged.push(line));
});
afterEach(() => {
  vi.restoreAllMocks();
});

describe("the request for the origin", () => {
  test("has the path that was matched and the query as it came", async () => {
    const { seen, forward } = forwarderTo(() => new Response());
    await forward(new Request("https://api.example.com/x/../api//users?a=b"), { query: "?a=%2e%2e&b" });
    expect(seen[0]?.url).toBe("https://api.example.com/api/users?a=%2e%2e&b");
  });

  test("to a binding keeps scheme and host as the client addressed them", async () => {
    const { seen, forward } = forwarderTo(() => new Response());
    await forward(new Request("http://api.example.com:8787/api/users"));
    expect(seen[0]?.url).toBe("http://api.example.com:8787/api/users?a=b");
    expect(seen[0]?.headers.get("X-Forwarded-Host")).toBe("api.example.com:8787");
    expect(seen[0]?.headers.get("X-Forwarded-Proto")).toBe("http");
  });

  test("to a URL has its host, tells the client's apart, and is kept out of caches", async () => {
    const { seen, forward } = forwarderTo(() => new Response(), "https://internal.example");
    await forward(new Request("https://api.example.com/api/users"));
    expect(seen[0]?.url).toBe("https://internal.example/api/users?a=b");
    expect(seen[0]?.headers.get("X-Forwarded-Host")).toBe("api.example.com");
    expect(seen[0]?.cache).toBe("no-store");
  });

  test("cannot be sent to another host by its path", async () => {
    const { seen, forward } = forwarderTo(() => new Response(), "https://internal.example");
    await forward(new Request("https://api.example.com/"), { path: "/@evil.example/", query: "" });
    expect(new URL(seen[0]?.url ?? "").host).toBe("internal.example");
  });

  test("is signed, over what is sent", async () => {
    const { seen, forward } = forwarderTo(() => new Response());
    await forward(new Request("https://api.example.com/", { headers: { "X-User-Id": "evil" } }), { query: "?q='é" });
    const [request] = seen;
    expect(request?.url).toBe("https://api.example.com/api/users?q=%27%C3%A9");
    const { signature } = await createIdentitySigner(new Uint8Array(32), "postern-1").sign(
      {
        method: "GET",
        path: "/api/users",
        query: "?q=%27%C3%A9",
        fields: ["x-user-id", "x-user-role", "x-session-id", "x-auth-method", "x-request-id"].map((name) => [
          name,
          request?.headers.get(name) ?? "",
        ]),
      },
      forwarding.now,
    );
    expect(request?.headers.get("Signature")).toBe(signature);
    expect(request?.headers.get("X-User-Id")).toBe("u-1");
  });

  test("follows no redirect, whatever the client's request says", async () => {
    const { seen, forward } = forwarderTo(() => new Response(null, { status: 302, headers: { Location: "/else" } }));
    const result = await forward(new Request("https://api.example.com/", { redirect: "follow" }));
    expect(seen[0]?.redirect).toBe("manual");
    expect(result).toMatchObject({ ok: true, value: { status: 302 } });
  });

  test("carries the body as a stream that is read only as fast as the origin reads it", async () => {
    let pulled = 0;
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        pulled++;
        controller.enqueue(new Uint8Array(64 * 1024));
        if (pulled === 1000) controller.close();
      },
    });
    let read = 0;
    await responseOf(
      async (request) => {
        const reader = (request.body ?? new ReadableStream<Uint8Array>()).getReader();
        for (let chunk = 0; chunk < 3; chunk++) read += (await reader.read()).value?.byteLength ?? 0;
        return new Response();
      },
      { method: "POST", body },
    );
    expect(read).toBeGreaterThan(0);
    expect(pulled).toBeLessThan(10);
  });

  test("is aborted when the client's is", async () => {
    const client = new AbortController();
    const { seen, forward } = forwarderTo(() => new Response());
    await forward(new Request("https://api.example.com/", { signal: client.signal }));
    client.abort();
    expect(seen[0]?.signal.aborted).toBe(true);
  });

  test("a Host that is no host is refused", async () => {
    const { forward } = forwarderTo(() => new Response());
    const request = new Request("https://api.example.com/");
    Object.defineProperty(request, "url", { value: "http://a b/" });
    expect(await forward(request)).toMatchObject({ ok: false, failure: { code: "invalid_request" } });
  });
});

describe("the response for the client", () => {
  test("has status, reason, headers and body of the origin, and its headers can be added to", async () => {
    const response = await responseOf(
      () => new Response("made", { status: 201, statusText: "Made", headers: { ETag: '"x"', "X-User-Id": "u-1" } }),
    );
    response.headers.set("X-Request-Id", "r-1");
    expect([response.status, response.statusText, await response.text()]).toEqual([201, "Made", "made"]);
    expect(response.headers.get("ETag")).toBe('"x"');
    expect(response.headers.has("X-User-Id")).toBe(false);
  });

  test("an error of the origin passes untouched", async () => {
    const response = await responseOf(() => new Response("their words", { status: 500 }));
    expect([response.status, await response.text()]).toEqual([500, "their words"]);
  });

  test.each([204, 205, 304])("%i has no body", async (status) => {
    const response = await responseOf(() => new Response(null, { status, headers: { ETag: '"x"' } }));
    expect([response.status, response.body, response.headers.get("ETag")]).toEqual([status, null, '"x"']);
  });

  test("streams: the first chunk is there before the last is written", async () => {
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    const response = await responseOf(() => new Response(readable));
    const writer = writable.getWriter();
    const reader = (response.body ?? readable).getReader();
    void writer.write(new TextEncoder().encode("first"));
    expect(new TextDecoder().decode((await reader.read()).value)).toBe("first");
    void writer.close();
    expect((await reader.read()).done).toBe(true);
  });

  test("a WebSocket passes both ways, with its close code", async () => {
    const response = await responseOf(
      () => {
        const { 0: client, 1: server } = new WebSocketPair();
        server.accept();
        server.addEventListener("message", ({ data }) => server.send(`echo ${String(data)}`));
        server.addEventListener("close", ({ code, reason }) => server.close(code, reason));
        return new Response(null, { status: 101, webSocket: client, headers: { "Sec-WebSocket-Protocol": "chat" } });
      },
      { headers: { Upgrade: "websocket" } },
    );
    expect([response.status, response.headers.get("Sec-WebSocket-Protocol")]).toEqual([101, "chat"]);
    const socket = response.webSocket;
    if (socket === null) throw new Error("no WebSocket");
    const message = new Promise((resolve) => socket.addEventListener("message", ({ data }) => resolve(data)));
    const closed = new Promise((resolve) => socket.addEventListener("close", ({ code }) => resolve(code)));
    socket.accept();
    socket.send("hello");
    expect(await message).toBe("echo hello");
    socket.close(4001, "bye");
    expect(await closed).toBe(4001);
  });
});

describe("when the origin fails", () => {
  test("that it cannot be reached is origin_unreachable, logged once, its address only there", async () => {
    const { forward, timers } = forwarderTo(() => Promise.reject(new Error("connect to 10.0.0.7:80 refused")));
    const result = await forward(new Request("https://api.example.com/"));
    expect(result).toEqual({ ok: false, failure: { code: "origin_unreachable" } });
    expect(logged.map((line): unknown => JSON.parse(line))).toEqual([
      { event: "origin.failed", requestId: "r-1", error: "Error: connect to 10.0.0.7:80 refused" },
    ]);
    expect(timers).toMatchObject([{ cancelled: true }]);
  });

  test("no head of a response in time is origin_timeout", async () => {
    const { forward, timers } = forwarderTo(() => new Promise<Response>(() => undefined));
    const result = forward(new Request("https://api.example.com/"));
    await vi.waitFor(() => expect(timers).toMatchObject([{ milliseconds: 30_000, cancelled: false }]));
    timers[0]?.run();
    expect(await result).toEqual({ ok: false, failure: { code: "origin_timeout" } });
    expect(logged).toHaveLength(1);
  });

  test("the time limit ends with the first byte: a body may take longer", async () => {
    const { readable } = new TransformStream<Uint8Array, Uint8Array>();
    const { forward, timers } = forwarderTo(() => new Response(readable));
    expect(await forward(new Request("https://api.example.com/"))).toMatchObject({ ok: true });
    expect(timers).toMatchObject([{ cancelled: true }]);
  });

  test("a status that HTTP does not have is origin_unreachable", async () => {
    const odd = new Response();
    Object.defineProperty(odd, "status", { value: 999 });
    expect(await forwarderTo(() => odd).forward(new Request("https://api.example.com/"))).toMatchObject({
      failure: { code: "origin_unreachable" },
    });
    expect(logged).toHaveLength(1);
  });
});
