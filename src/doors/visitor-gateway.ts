/**
 * The gateway for those who show a session cookie and no token: who they are, whether their browser was made to ask, the
 * notices on whatever they are answered, and the banner in their pages.
 */
import { getCookie } from "hono/cookie";
import type { Config } from "../kit/config.ts";
import { fail, ok, type Result } from "../kit/result.ts";
import { bannerHtml, DISMISSED_COOKIE, isPage, wantsPage, withBanner } from "../transition/banner.ts";
import { MIGRATION_PATH, setNotices } from "../transition/sunset.ts";
import { isTrustedSource } from "./credentials.ts";
import { render, type RequestContext } from "./endpoint.ts";
import type { Forward } from "./gateway.ts";
import { type SessionGuard, sessionCookie, type Visitor } from "./session-guard.ts";

/** Methods by which nothing is changed (RFC 9110 section 9.2.1). */
const SAFE_METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS"]);

export interface VisitorGateway {
  /** The session cookie of a request that shows no token; a token goes first, and so does the fault of showing two. */
  cookie(request: Request): string | null;
  /** Answers a request on a matched route; on a public one nobody is asked who they are, but for the banner. */
  serve(c: RequestContext, cookie: string, isPublic: boolean, forward: Forward): Promise<Response>;
  /** Counts a request that was let through by a token. */
  countCaller(request: Request): void;
}

/** Whether another site could have made the browser send it: what changes something, and what opens a WebSocket. */
function isForgeable({ method, headers }: Request): boolean {
  return !SAFE_METHODS.has(method) || headers.has("Upgrade");
}

/** The request with an answer asked for that can be written into. */
function asPlain(request: Request): Request {
  const headers = new Headers(request.headers);
  headers.set("Accept-Encoding", "identity");
  return new Request(request, { headers });
}

export function createVisitorGateway(guard: SessionGuard, { corsOrigins }: Config): VisitorGateway {
  const { config, figures, isOver } = guard.transition;

  const takesBanner = (c: RequestContext): boolean =>
    config.banner !== null && wantsPage(c.req.raw) && getCookie(c, DISMISSED_COOKIE) === undefined;

  const dress = (c: RequestContext, response: Response, visitor: Visitor | null, takes: boolean): Response => {
    const { pathname = "/", search = "" } = URL.parse(c.req.url) ?? {};
    const dressed =
      config.banner !== null && visitor !== null && takes && isPage(response)
        ? withBanner(response, bannerHtml(config.banner, config.sunsetAt, pathname + search, MIGRATION_PATH))
        : response;
    setNotices(dressed.headers, config, visitor?.isUpgradable === true);
    return dressed;
  };

  const admit = async (c: RequestContext, cookie: string): Promise<Result<Visitor>> => {
    const request = c.req.raw;
    if (isForgeable(request) && !isTrustedSource(request, corsOrigins)) return fail({ code: "csrf_rejected" });
    const visitor = await guard.visitor(c, cookie);
    if (!visitor.ok) return visitor;
    figures.count("request", "session", request.headers.get("User-Agent") ?? undefined);
    figures.seen(visitor.value.sessionId);
    return ok(visitor.value);
  };

  return {
    cookie: (request) =>
      /^Bearer +.|,/i.test(request.headers.get("Authorization") ?? "") ? null : sessionCookie(request),

    async serve(c, cookie, isPublic, forward) {
      const takes = takesBanner(c);
      const request = takes && !isOver() ? asPlain(c.req.raw) : c.req.raw;
      if (isPublic) {
        const response = render(c, await forward(request, null));
        if (!takes || !isPage(response)) return response;
        const visitor = await guard.visitor(c, cookie);
        return visitor.ok ? dress(c, response, visitor.value, takes) : response;
      }
      const visitor = await admit(c, cookie);
      if (!visitor.ok) return dress(c, render(c, visitor), null, false);
      return dress(c, render(c, await forward(request, visitor.value)), visitor.value, takes);
    },

    countCaller: (request) => figures.count("request", "jwt", request.headers.get("User-Agent") ?? undefined),
  };
}
