/**
 * How a door records a security event: with the request it belongs to and the prefix of the address it came from.
 */
import type { AuditEvent } from "../audit/events.ts";
import type { AuditTrail } from "../audit/trail.ts";
import { addressPrefix } from "../limits/address.ts";
import type { RequestContext } from "./endpoint.ts";

export type Recorder = (c: RequestContext, event: AuditEvent) => void;

export function createRecorder(audit: AuditTrail): Recorder {
  return (c, event) =>
    audit.record(event, {
      requestId: c.var.requestId,
      address: addressPrefix(c.req.header("CF-Connecting-IP") ?? null),
    });
}
