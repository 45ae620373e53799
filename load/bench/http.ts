// A load generator that costs little beside the server on the same cores: HTTP/1.1 over bare sockets, kept alive, one
// request under way on each. It reads what workerd writes (Content-Length or chunks), and no more of the standard.
import { once } from "node:events";
import { createConnection, type Socket } from "node:net";

export interface Answer {
  readonly status: number;
  /** Status line and fields. */
  readonly head: string;
  readonly body: string;
}

const CRLF = "\r\n";
const END_OF_HEAD = "\r\n\r\n";
const LAST_CHUNK = "0\r\n\r\n";

/** A request as bytes. */
export function encodeRequest(
  method: "GET" | "POST",
  path: string,
  fields: Readonly<Record<string, string>>,
  body?: string,
): string {
  const own = body === undefined ? {} : { "Content-Type": "application/json", "Content-Length": String(body.length) };
  const lines = Object.entries({ Host: "127.0.0.1", ...fields, ...own }).map(([name, value]) => `${name}: ${value}`);
  return [`${method} ${path} HTTP/1.1`, ...lines, "", body ?? ""].join(CRLF);
}

/** A field of a head, in any case; null if there is none. */
export function field(head: string, name: string): string | null {
  const found = head.split(CRLF).find((line) => line.toLowerCase().startsWith(`${name.toLowerCase()}:`));
  return found === undefined ? null : found.slice(name.length + 1).trim();
}

/** The body of a chunked message that is complete. */
function joinChunks(text: string): string {
  let body = "";
  let at = 0;
  for (;;) {
    const endOfSize = text.indexOf(CRLF, at);
    const size = Number.parseInt(text.slice(at, endOfSize), 16);
    if (!(size > 0)) return body;
    body += text.slice(endOfSize + CRLF.length, endOfSize + CRLF.length + size);
    at = endOfSize + 2 * CRLF.length + size;
  }
}

/** The answer that `text` holds (Latin-1, so that characters are bytes), or null while some of it is missing. */
export function parseAnswer(text: string): Answer | null {
  const endOfHead = text.indexOf(END_OF_HEAD);
  if (endOfHead === -1) return null;
  const head = text.slice(0, endOfHead);
  const rest = text.slice(endOfHead + END_OF_HEAD.length);
  const status = Number(head.slice(9, 12));
  const length = field(head, "Content-Length");
  if (length !== null) return rest.length < Number(length) ? null : { status, head, body: rest };
  if (field(head, "Transfer-Encoding") === null) return { status, head, body: "" };
  return rest.endsWith(LAST_CHUNK) ? { status, head, body: joinChunks(rest) } : null;
}

/** One connection. A request at a time: send the next when the answer is there. */
export class Connection {
  readonly #socket: Socket;
  #received = "";
  #settle: { resolve(answer: Answer): void; reject(error: Error): void } | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.setEncoding("latin1");
    socket.on("data", (chunk: string) => this.#onData(chunk));
    socket.on("error", (error) => this.#settle?.reject(error));
    socket.on("close", () => this.#settle?.reject(new Error("the server closed the connection")));
  }

  static async open(url: URL): Promise<Connection> {
    const socket = createConnection({ host: url.hostname, port: Number(url.port) });
    await once(socket, "connect");
    return new Connection(socket);
  }

  #onData(chunk: string): void {
    this.#received += chunk;
    const answer = parseAnswer(this.#received);
    if (answer === null) return;
    this.#received = "";
    const settle = this.#settle;
    this.#settle = undefined;
    settle?.resolve(answer);
  }

  /** @param request by {@link encodeRequest} */
  send(request: string): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
      this.#socket.write(request, "latin1");
    });
  }

  close(): void {
    this.#settle = undefined;
    this.#socket.destroy();
  }
}

/** What one connection sends, and hears. */
export interface Script {
  next(): string;
  /** Called with each answer. */
  heard?(answer: Answer): void;
}

export interface Load {
  readonly perSecond: number;
  readonly latenciesMs: readonly number[];
}

/** Runs each script on a connection of its own for `seconds`. Any status but `expected` ends it with an error. */
export async function load(url: URL, scripts: readonly Script[], seconds: number, expected: number): Promise<Load> {
  const connections = await Promise.all(scripts.map(() => Connection.open(url)));
  const latenciesMs: number[] = [];
  const startedAt = performance.now();
  const endsAt = startedAt + seconds * 1000;
  const run = async (script: Script, connection: Connection): Promise<void> => {
    for (;;) {
      const sentAt = performance.now();
      if (sentAt >= endsAt) return;
      const answer = await connection.send(script.next());
      latenciesMs.push(performance.now() - sentAt);
      if (answer.status !== expected) throw new Error(`expected ${expected}: ${answer.head}\n${answer.body}`);
      script.heard?.(answer);
    }
  };
  try {
    await Promise.all(scripts.map((script, i) => run(script, connections[i] as Connection)));
    return { perSecond: (latenciesMs.length * 1000) / (performance.now() - startedAt), latenciesMs };
  } finally {
    for (const connection of connections) connection.close();
  }
}
