/**
 * Sends a matched request to the origin and hands its answer back, both bodies streamed. It neither authenticates nor
 * routes, follows no redirect, caches nothing and rewrites no body. In order:
 *
 * 1. build the target from the canonical path and the query as it came,
 * 2. build the headers, sign them,
 * 3. fetch, with a time limit on the first byte only,
 * 4. clean the headers of the answer; its body and a WebSocket pass through the runtime untouched.
 *
 * A gzip or br body keeps its bytes: the runtime decodes only what a Worker reads, and a body it merely pipes from one
 * message to another with the same Content-Encoding is piped as it is.
 */
import { describe, log } from "../kit/log.ts";
import { fail, ok, type Result } from "../kit/result.ts";
import { requestHeaders, responseHeaders } from "./headers.ts";
import { identityFields, type Identity } from "./identity.ts";
import type { IdentitySigner } from "./identity-signature.ts";

/** The API behind the gateway. */
export interface Origin {
  fetch(request: Request): Promise<Response>;
  /** The URL the origin sees: `inbound` is the one the client used, `pathAndQuery` what it is to be. */
  target(inbound: URL, pathAndQuery: string): string;
  /** Keeps what was fetched for one user out of caches on the way that would serve it to the next. */
  readonly cache?: "no-store";
}

/** An origin behind a service binding: it sees scheme and host as the client addressed them, `X-Forwarded-Host` the same. */
export function boundOrigin(fetch: (request: Request) => Promise<Response>): Origin {
  return { fetch, target: (inbound, pathAndQuery) => inbound.origin + pathAndQuery };
}

/** An origin at a URL: it sees its own host, and the client's in `X-Forwarded-Host`. */
export function originAt(base: URL, fetch: (request: Request) => Promise<Response>): Origin {
  // Cloudflare would cache what looks like a static file, by URL alone: /api/me/avatar.png is another file for each user.
  return { fetch, target: (_inbound, pathAndQuery) => base.origin + pathAndQuery, cache: "no-store" };
}

export interface ForwarderOptions {
  readonly origin: Origin;
  readonly signer: IdentitySigner;
  /** How long the origin has for the head of its response. The body may take any time. */
  readonly timeoutMs: number;
  /** Runs `task` after `milliseconds`, unless the function it returns is called before. */
  startTimer(milliseconds: number, task: () => void): () => void;
  /** Whether the client's Authorization passes. */
  readonly keepAuthorization: boolean;
}

/** What the gateway found out about the request. */
export interface Forwarding {
  /** As `normalisePath` returned it and the route policy matched it. */
  readonly path: string;
  /** As it came, with its leading `?`; empty when absent. */
  readonly query: string;
  readonly identity: Identity;
  readonly requestId: string;
  readonly clientAddress: string;
  /** Milliseconds since 1970. */
  readonly now: number;
}

export interface Forwarder {
  /** The origin's response, its headers still to be written to; or `origin_unreachable`, `origin_timeout`. */
  forward(request: Request, forwarding: Forwarding): Promise<Result<Response>>;
}

/** Statuses whose responses have no body, so that none may be given to the constructor (Fetch standard section 2.2.3). */
const NULL_BODY_STATUS: ReadonlySet<number> = new Set([204, 205, 304]);

const badHost = fail({ code: "invalid_request", detail: "The Host header is not a host." });
const unreachable = fail({ code: "origin_unreachable" });
const timedOut = fail({ code: "origin_timeout" });

/** The origin's response for the client; null if it is none that HTTP allows to send on. */
function clientResponse(response: Response): Response | null {
  const { status, statusText } = response;
  const headers = responseHeaders(response.headers);
  if (response.webSocket !== null) return new Response(null, { status: 101, webSocket: response.webSocket, headers });
  if (status < 200 || status > 599) return null;
  return new Response(NULL_BODY_STATUS.has(status) ? null : response.body, { status, statusText, headers });
}

/** Returns the forwarder; it keeps no state but the signer's key. */
export function createForwarder(options: ForwarderOptions): Forwarder {
  const { origin, signer, timeoutMs, keepAuthorization } = options;

  async function originRequest(request: Request, to: Forwarding, inbound: URL, signal: AbortSignal): Promise<Request> {
    const { identity, requestId, clientAddress } = to;
    const scheme = inbound.protocol.slice(0, -1);
    const facts = { identity, requestId, clientAddress, scheme, host: inbound.host };
    const headers = requestHeaders(request.headers, facts, keepAuthorization);
    // Parsed once more, since the runtime will: what is signed are the characters it sends.
    const target = new URL(origin.target(inbound, to.path + to.query));
    const { method } = request;
    const fields = identityFields(identity, requestId);
    const signed = await signer.sign({ method, path: target.pathname, query: target.search, fields }, to.now);
    headers.set("signature-input", signed.signatureInput);
    headers.set("signature", signed.signature);
    const init: RequestInit = { method, headers, body: request.body, redirect: "manual", signal };
    return new Request(target, origin.cache === undefined ? init : { ...init, cache: origin.cache });
  }

  return {
    async forward(request, forwarding) {
      const inbound = URL.parse(request.url);
      if (inbound === null) return badHost;
      const timeout = new AbortController();
      const signal = AbortSignal.any([request.signal, timeout.signal]);
      const outbound = await originRequest(request, forwarding, inbound, signal);
      const stopTimer = options.startTimer(timeoutMs, () => timeout.abort());
      try {
        const response = clientResponse(await origin.fetch(outbound));
        if (response !== null) return ok(response);
        log({ event: "origin.failed", requestId: forwarding.requestId, error: "status out of range" });
        return unreachable;
      } catch (error) {
        if (timeout.signal.aborted) {
          log({ event: "origin.failed", requestId: forwarding.requestId, error: "no response in time" });
          return timedOut;
        }
        log({ event: "origin.failed", requestId: forwarding.requestId, error: describe(error) });
        return unreachable;
      } finally {
        stopTimer();
      }
    },
  };
}
