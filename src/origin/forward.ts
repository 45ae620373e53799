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
import { rewriteRequestHeaders, rewriteResponseHeaders } from "./headers.ts";
import { identityFields, type Identity } from "./identity.ts";
import type { IdentitySigner } from "./identity-signature.ts";

/** The API behind the gateway. */
export interface Origin {
  fetch(request: Request): Promise<Response>;
  /** The URL the origin sees: `inbound` is the one the client used, `pathAndQuery` what it is to be. */
  target(inbound: URL, pathAndQuery: string): string;
}

/** An origin behind a service binding: it sees scheme and host as the client addressed them, `X-Forwarded-Host` the same. */
export function boundOrigin(fetch: (request: Request) => Promise<Response>): Origin {
  return { fetch, target: (inbound, pathAndQuery) => inbound.origin + pathAndQuery };
}

/** An origin at a URL: it sees its own host, and the client's in `X-Forwarded-Host`. */
export function originAt(base: URL, fetch: (request: Request) => Promise<Response>): Origin {
  return {
    // Cloudflare would cache what looks like a static file, by URL alone: /api/me/avatar.png is another for each user.
    fetch: (request) => fetch(new Request(request, { cache: "no-store" })),
    target: (_inbound, pathAndQuery) => base.origin + pathAndQuery,
  };
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
  /** Whether the session cookie passes, both ways: the origin makes sessions of that name itself. */
  readonly keepSession?: boolean;
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

const MANUAL = { redirect: "manual" } as const;

const badHost = fail({ code: "invalid_request", detail: "The Host header is not a host." });
const unreachable = fail({ code: "origin_unreachable" });
const timedOut = fail({ code: "origin_timeout" });

/** The origin's response for the client; null if its status is none that may be sent on. */
function clientResponse(response: Response, keepSession: boolean): Response | null {
  const { status } = response;
  if (response.webSocket === null && (status < 200 || status > 599)) return null;
  const copy = new Response(NULL_BODY_STATUS.has(status) ? null : response.body, response);
  rewriteResponseHeaders(copy.headers, keepSession);
  return copy;
}

/** Returns the forwarder; it keeps no state but the signer's key. */
export function createForwarder(options: ForwarderOptions): Forwarder {
  const { origin, signer, timeoutMs, keepAuthorization, keepSession = false } = options;

  async function originRequest(request: Request, to: Forwarding, inbound: URL): Promise<Request> {
    const { identity, requestId, clientAddress, now } = to;
    // Parsed here, since the runtime will parse it too: what is signed is what it sends.
    const target = new URL(origin.target(inbound, to.path + to.query));
    // Copies method, headers, body and abort signal. A request that came in over HTTP is "manual" already.
    const outbound = new Request(target, request.redirect === "manual" ? request : new Request(request, MANUAL));
    const { headers, method } = outbound;
    const facts = { identity, requestId, clientAddress, scheme: inbound.protocol.slice(0, -1), host: inbound.host };
    rewriteRequestHeaders(headers, facts, keepAuthorization, keepSession);
    const fields = identityFields(identity, requestId);
    const signed = await signer.sign({ method, path: target.pathname, query: target.search, fields }, now);
    headers.set("signature-input", signed.signatureInput);
    headers.set("signature", signed.signature);
    return outbound;
  }

  /** The origin's response, or null when its head did not come in time. The request then ends with the client's. */
  async function fetchInTime(outbound: Request): Promise<Response | null> {
    let stopTimer = (): void => undefined;
    const timeout = new Promise<null>((resolve) => {
      stopTimer = options.startTimer(timeoutMs, () => resolve(null));
    });
    try {
      return await Promise.race([origin.fetch(outbound), timeout]);
    } finally {
      stopTimer();
    }
  }

  return {
    async forward(request, forwarding) {
      const inbound = URL.parse(request.url);
      if (inbound === null) return badHost;
      const failed = (failure: typeof unreachable | typeof timedOut, error: string) => {
        log({ event: "origin.failed", requestId: forwarding.requestId, error });
        return failure;
      };
      const outbound = await originRequest(request, forwarding, inbound);
      try {
        const answer = await fetchInTime(outbound);
        if (answer === null) return failed(timedOut, "no response in time");
        const response = clientResponse(answer, keepSession);
        return response === null ? failed(unreachable, "status out of range") : ok(response);
      } catch (error) {
        return failed(unreachable, describe(error));
      }
    },
  };
}
