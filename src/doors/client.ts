/**
 * What a session list shows of the client behind a request.
 */
import type { Device } from "../sessions/client.ts";
import type { RequestContext } from "./endpoint.ts";
import { addressOf } from "./password-guard.ts";

const USER_AGENT_MAX_CHARACTERS = 256;

export function deviceOf(c: RequestContext): Device {
  return {
    userAgent: (c.req.header("User-Agent") ?? "").slice(0, USER_AGENT_MAX_CHARACTERS).toWellFormed(),
    address: addressOf(c),
  };
}
