// The connection of one user: kept between calls that follow soon, opened anew after a longer pause. A request at a time.
import { createConnection, type Socket } from "node:net";
import { type Answer, parseAnswer } from "../bench/http.ts";

/**
 * What has been idle for longer is opened anew: workerd spends two files on each connection, and at 10,000 users its limit of
 * open files would be what is measured. The call after a refresh uses the refresh's.
 */
const REUSED_WITHIN_MS = 1000;
const ANSWER_LIMIT_MS = 300_000;

export class UserSocket {
  readonly #url: URL;
  #socket: Socket | null = null;
  #lastUsedAt = 0;
  #idle: NodeJS.Timeout | undefined;

  constructor(url: URL) {
    this.#url = url;
  }

  #open(): Socket {
    const socket = createConnection({ host: this.#url.hostname, port: Number(this.#url.port), noDelay: true });
    socket.setEncoding("latin1");
    // An idle connection may end in any way.
    socket.on("error", () => socket.destroy());
    return socket;
  }

  #usable(): Socket {
    const isFresh = performance.now() - this.#lastUsedAt < REUSED_WITHIN_MS;
    if (this.#socket !== null && !this.#socket.destroyed && isFresh) return this.#socket;
    this.close();
    this.#socket = this.#open();
    return this.#socket;
  }

  /** @param request as bytes in Latin-1 */
  send(request: string): Promise<Answer> {
    clearTimeout(this.#idle);
    const socket = this.#usable();
    return new Promise((resolve, reject) => {
      let received = "";
      const finish = (settle: () => void): void => {
        clearTimeout(limit);
        socket.off("data", onData).off("close", onClose).off("error", onError);
        this.#lastUsedAt = performance.now();
        this.#idle = setTimeout(() => this.close(), REUSED_WITHIN_MS).unref();
        settle();
      };
      const onData = (chunk: string): void => {
        received += chunk;
        const answer = parseAnswer(received);
        if (answer !== null) finish(() => resolve(answer));
      };
      const onClose = (): void => finish(() => reject(new Error("connection closed")));
      const onError = (error: Error): void => finish(() => reject(error));
      const limit = setTimeout(() => {
        finish(() => reject(new Error("no answer")));
        socket.destroy();
      }, ANSWER_LIMIT_MS);
      socket.on("data", onData).on("close", onClose).on("error", onError);
      socket.write(request, "latin1");
    });
  }

  close(): void {
    this.#socket?.destroy();
    this.#socket = null;
  }
}
