// Express middleware (Connect, Fastify with @fastify/middie, or plain node:http): request.postern is set, or 401.
//
//   const keys = new Map([["postern-1", Buffer.from(process.env.ORIGIN_SECRET, "base64")]]);
//   app.use(postern(keys));
import type { IncomingMessage, ServerResponse } from "node:http";
import { type Keys, type Verified, verifyPostern } from "./verify.ts";

type PosternRequest = IncomingMessage & {
  /** Express: the URL before a router cut its mount path off. */
  originalUrl?: string;
  postern?: Verified;
};

/** Node joins repeated header fields, all but Set-Cookie, into one string. */
function flat(headers: IncomingMessage["headers"]): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]));
}

export function postern(keys: Keys) {
  return async (request: PosternRequest, response: ServerResponse, next: () => void): Promise<void> => {
    try {
      const target = request.originalUrl ?? request.url ?? "";
      request.postern = await verifyPostern(request.method ?? "", target, flat(request.headers), keys);
    } catch {
      response.writeHead(401).end();
      return;
    }
    next();
  };
}
