/**
 * How a door is hung: a path, its methods, and for every other method 405 with `Allow`. Handlers return a response or a
 * failure; this is where the failure is rendered.
 */
import type { Context, Hono } from "hono";
import type { FailureCode, LimitState } from "../kit/failure.ts";
import { problem } from "../kit/problem.ts";
import { fail, type Result } from "../kit/result.ts";

export interface Variables {
  /** Of this request: the client's, if it sent a sane one. */
  readonly requestId: string;
  /** The `issuer` of problem types. */
  readonly issuer: string;
  /** The limit this request was counted against; shown on its response. */
  limit?: LimitState;
  /** Whether tokens can be had for the session this request showed. */
  isUpgradable?: boolean;
  /** The pattern of the endpoint or route that matched. */
  route?: string;
  /** Who makes the request, once that is known. */
  userId?: string;
  /** Why the request was refused. */
  code?: FailureCode;
}

export type AppEnv = { Variables: Variables };
export type App = Hono<AppEnv>;
export type RequestContext = Context<AppEnv>;

export type Handler = (c: RequestContext) => Promise<Result<Response>>;
export type Method = "GET" | "POST" | "PATCH" | "DELETE";

/** The response of a handler's result. */
export function render(c: RequestContext, result: Result<Response>): Response {
  if (result.ok) return result.value;
  c.set("code", result.failure.code);
  return problem(result.failure, { issuer: c.var.issuer, requestId: c.var.requestId });
}

/** Serves `path` by the handlers given, one per method. HEAD is answered like GET, without the body. */
export function endpoint(app: App, path: string, handlers: { readonly [M in Method]?: Handler }): void {
  for (const [method, handler] of Object.entries(handlers)) {
    app.on(method, path, async (c) => {
      c.set("route", path);
      return render(c, await handler(c));
    });
  }
  const allow = Object.keys(handlers).flatMap((method) => (method === "GET" ? ["GET", "HEAD"] : [method]));
  app.all(path, (c) => {
    c.set("route", path);
    return render(c, fail({ code: "method_not_allowed", allow }));
  });
}

const JSON_HEADERS = { "Content-Type": "application/json; charset=utf-8", "Cache-Control": "no-store" };

/** A JSON response that no cache keeps. */
export function json(body: unknown, status = 200): Response {
  return new Response(JSON.stringify(body), { status, headers: JSON_HEADERS });
}

/** The same, with the cookies that were set on the way. */
export function jsonWithCookies(c: RequestContext, body: unknown): Response {
  return c.body(JSON.stringify(body), 200, JSON_HEADERS);
}

/** 204, which no cache keeps either. */
export function noContent(): Response {
  return new Response(null, { status: 204, headers: { "Cache-Control": "no-store" } });
}
