/**
 * Who may pass an admin door, and the parameters its lists share.
 */
import type { Limit } from "../kit/config.ts";
import { isUuid } from "../kit/encoding.ts";
import { fail, ok, type Result } from "../kit/result.ts";
import type { Limits } from "../limits/client.ts";
import type { BearerGuard, Caller } from "./credentials.ts";
import type { Handler, RequestContext } from "./endpoint.ts";
import { addressOf } from "./password-guard.ts";

const ADMIN_ROLE = "admin";
const PAGE_DEFAULT = 50;
const PAGE_MAX = 200;

export type AdminHandler = (c: RequestContext, actor: Caller) => Promise<Result<Response>>;
export type AsAdmin = (handler: AdminHandler) => Handler;

/** Lets a handler be called by administrators only. Refused callers are counted by address; an admin's calls are not. */
export function createAsAdmin(guard: BearerGuard, limits: Limits, limit: Limit): AsAdmin {
  return (handler) => async (c) => {
    const caller = await guard.caller(c);
    if (!caller.ok) {
      const room = await limits.take("admin", limit, addressOf(c));
      return room.ok ? caller : room;
    }
    if (caller.value.role !== ADMIN_ROLE) return fail({ code: "insufficient_role", roles: [ADMIN_ROLE] });
    return handler(c, caller.value);
  };
}

export function invalidParameter(path: string, message: string) {
  return fail({ code: "invalid_request", detail: "A parameter is not valid.", errors: [{ path, message }] });
}

/** A parameter that is a whole number from 1 to `max`. */
export function countParameter(c: RequestContext, name: string, fallback: number, max: number): Result<number> {
  const value = Number(c.req.query(name) ?? fallback);
  const isGood = Number.isInteger(value) && value >= 1 && value <= max;
  return isGood ? ok(value) : invalidParameter(name, `must be a whole number from 1 to ${max}`);
}

/** The page a list is asked for: `limit` and `cursor`. */
export function pageOf(c: RequestContext): Result<{ limit: number; cursor: string | null }> {
  const limit = countParameter(c, "limit", PAGE_DEFAULT, PAGE_MAX);
  if (!limit.ok) return limit;
  const cursor = c.req.query("cursor") ?? null;
  if (cursor !== null && !isUuid(cursor)) return invalidParameter("cursor", "must be the next_cursor of a page");
  return ok({ limit: limit.value, cursor });
}

/** A time as JSON shows it. */
export function iso(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}
