/**
 * The demo origin: a small API behind Postern, for the laptop and the tests. It shows what reached it, and answers in
 * every way a gateway has to pass on: slowly, in a stream, over a WebSocket, with bytes by the gigabyte, with errors.
 * It trusts the identity headers as they come; a real origin verifies their signature first.
 */

const SLOW_MAX_MS = 120_000;
const STREAM_MAX_EVENTS = 1_000;
const STREAM_MAX_GAP_MS = 10_000;
const BYTES_MAX = 1024 ** 3;
const CHUNK_BYTES = 64 * 1024;

/** Statuses whose response may not have a body (Fetch standard, "null body status"). */
const NULL_BODY_STATUSES = new Set([204, 205, 304]);

const USERS = [
  { id: 1, name: "Ada Lovelace" },
  { id: 2, name: "Grace Hopper" },
  { id: 3, name: "Margaret Hamilton" },
];

const HOME_PAGE = `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Demo origin</title>
</head>
<body>
<main>
<h1>Demo origin</h1>
<p>This page and the API below stand behind Postern. The page is public, the API asks for a token.</p>
<ul>
<li><a href="/api/users">/api/users</a>: a list of users</li>
<li><a href="/api/echo">/api/echo</a>: the request as it arrived here</li>
<li><a href="/api/stream">/api/stream</a>: server-sent events</li>
</ul>
</main>
</body>
</html>
`;

type Answer = (request: Request, query: URLSearchParams) => Response | Promise<Response>;

/** The whole number `name` of the query, held within [min, max]; `fallback` when it is absent or no number. */
function boundedNumber(query: URLSearchParams, name: string, fallback: number, min: number, max: number): number {
  const given = Number.parseInt(query.get(name) ?? "", 10);
  return Number.isNaN(given) ? fallback : Math.min(Math.max(given, min), max);
}

/** A stream that asks `chunks` for the next one only when there is room for it, and for no more when the client leaves. */
function streamOf<T>(chunks: Iterator<T> | AsyncIterator<T>): ReadableStream<T> {
  return new ReadableStream<T>({
    async pull(controller) {
      const next = await chunks.next();
      if (next.done === true) controller.close();
      else controller.enqueue(next.value);
    },
    async cancel() {
      await chunks.return?.();
    },
  });
}

function users({ headers }: Request): Response {
  const requestedBy = { id: headers.get("x-user-id"), role: headers.get("x-user-role") };
  return Response.json({ users: USERS, requested_by: requestedBy });
}

async function echo(request: Request): Promise<Response> {
  const { method, url, headers } = request;
  return Response.json({ method, url, headers: Object.fromEntries(headers), body: await request.text() });
}

async function slow(_request: Request, query: URLSearchParams): Promise<Response> {
  const ms = boundedNumber(query, "ms", 1_000, 0, SLOW_MAX_MS);
  await scheduler.wait(ms);
  return Response.json({ waited_ms: ms });
}

async function* serverSentEvents(count: number, gapMs: number): AsyncGenerator<string> {
  for (let id = 1; id <= count; id++) {
    if (id > 1) await scheduler.wait(gapMs);
    yield `id: ${id}\ndata: ${JSON.stringify({ event: id, of: count })}\n\n`;
  }
}

function stream(_request: Request, query: URLSearchParams): Response {
  const count = boundedNumber(query, "n", 5, 1, STREAM_MAX_EVENTS);
  const gapMs = boundedNumber(query, "ms", 100, 0, STREAM_MAX_GAP_MS);
  const body = streamOf(serverSentEvents(count, gapMs)).pipeThrough(new TextEncoderStream());
  return new Response(body, { headers: { "content-type": "text/event-stream", "cache-control": "no-store" } });
}

function webSocketEcho(request: Request): Response {
  if (request.headers.get("upgrade")?.toLowerCase() !== "websocket") {
    return Response.json({ error: "upgrade_required" }, { status: 426, headers: { upgrade: "websocket" } });
  }
  const { 0: client, 1: server } = new WebSocketPair();
  server.accept();
  server.binaryType = "arraybuffer";
  server.addEventListener("message", ({ data }) => server.send(data));
  server.addEventListener("close", ({ code, reason }) => {
    // 1005 says "no code was sent", 1006 "no close frame came": neither may be sent (RFC 6455 section 7.4.1).
    if (code === 1005) server.close();
    else if (code !== 1006) server.close(code, reason);
  });
  return new Response(null, { status: 101, webSocket: client });
}

function* zeroes(total: number): Generator<Uint8Array> {
  const chunk = new Uint8Array(CHUNK_BYTES);
  for (let left = total; left > 0; left -= CHUNK_BYTES) yield left < CHUNK_BYTES ? chunk.subarray(0, left) : chunk;
}

function bytes(_request: Request, query: URLSearchParams): Response {
  const total = boundedNumber(query, "n", CHUNK_BYTES, 0, BYTES_MAX);
  const { readable, writable } = new FixedLengthStream(total);
  // The pipe writes as fast as the client reads. It fails when the client leaves, and nobody is left to be told.
  streamOf(zeroes(total))
    .pipeTo(writable)
    .catch(() => {});
  return new Response(readable, { headers: { "content-type": "application/octet-stream" } });
}

async function upload(request: Request): Promise<Response> {
  let received = 0;
  for await (const chunk of request.body ?? []) received += chunk.byteLength;
  return Response.json({ bytes: received });
}

function status(_request: Request, query: URLSearchParams): Response {
  const code = boundedNumber(query, "code", 200, 200, 599);
  const headers = new Headers();
  if (code >= 300 && code < 400 && code !== 304) headers.set("location", query.get("location") ?? "/api/users");
  if (NULL_BODY_STATUSES.has(code)) return new Response(null, { status: code, headers });
  return Response.json({ status: code }, { status: code, headers });
}

function cookies(): Response {
  const headers = new Headers();
  headers.append("set-cookie", "flavour=oatmeal; Path=/");
  headers.append("set-cookie", "topping=raisin; Path=/; HttpOnly");
  return Response.json({ cookies: 2 }, { headers });
}

function home(): Response {
  return new Response(HOME_PAGE, { headers: { "content-type": "text/html; charset=utf-8" } });
}

const ANSWERS: ReadonlyMap<string, Answer> = new Map<string, Answer>([
  ["/", home],
  ["/api/users", users],
  ["/api/echo", echo],
  ["/api/slow", slow],
  ["/api/stream", stream],
  ["/api/ws", webSocketEcho],
  ["/api/bytes", bytes],
  ["/api/upload", upload],
  ["/api/status", status],
  ["/api/cookies", cookies],
]);

export default {
  fetch(request: Request): Response | Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    const answer = ANSWERS.get(pathname);
    return answer?.(request, searchParams) ?? Response.json({ error: "not_found", path: pathname }, { status: 404 });
  },
} satisfies ExportedHandler;
