/**
 * `/admin/*`: users, sessions, keys and the audit trail, for callers with role `admin`. Every change is recorded with
 * actor, target, before and after, and counts at every edge before it is answered.
 */
import * as z from "zod/mini";
import type { AccountChange, Directory, DirectoryEntry } from "../accounts/directory.ts";
import type { AuditTrail } from "../audit/trail.ts";
import { hasBody, readJson } from "../kit/body.ts";
import type { Config } from "../kit/config.ts";
import { isUuid } from "../kit/encoding.ts";
import { fail, ok, type Result } from "../kit/result.ts";
import type { Sessions } from "../sessions/client.ts";
import type { KeyRotation, KeyView } from "../tokens/key-rotation.ts";
import { type AdminHandler, type AsAdmin, invalidParameter, iso, pageOf } from "./admin-guard.ts";
import { newPassword, passwordText, sessionJson, usernameText } from "./bodies.ts";
import { type App, endpoint, json, noContent, type RequestContext } from "./endpoint.ts";
import type { Recorder } from "./record.ts";

const role = z
  .string({ error: "must be a string" })
  .check(z.regex(/^[a-z][a-z0-9_-]{0,31}$/, { error: "must be a role name: a-z, 0-9, _ and -" }));
const status = z.enum(["active", "disabled"], { error: "must be active or disabled" });

/** The bodies the endpoints take. */
export const bodies = {
  create: z.object({ username: usernameText, password: passwordText, role: z._default(role, "user") }),
  change: z
    .object({ role: z.optional(role), status: z.optional(status), password: z.optional(passwordText) })
    .check(z.refine((body) => Object.keys(body).length > 0, { error: "must change something" })),
  rotate: z.object({ compromised: z.optional(z.boolean({ error: "must be true or false" })) }),
};

export interface AdminDependencies {
  readonly config: Config;
  readonly directory: Directory;
  readonly sessions: Sessions;
  readonly keyRotation: KeyRotation;
  readonly audit: AuditTrail;
  readonly asAdmin: AsAdmin;
  readonly record: Recorder;
}

function userJson(user: DirectoryEntry) {
  const { id, username, createdAt, updatedAt } = user;
  return { id, username, role: user.role, status: user.status, created_at: iso(createdAt), updated_at: iso(updatedAt) };
}

function keyJson(key: KeyView) {
  return {
    kid: key.kid,
    state: key.state,
    created_at: iso(key.createdAt),
    active_at: iso(key.activeAt),
    withdrawn_at: key.withdrawnAt === null ? null : iso(key.withdrawnAt),
  };
}

export function adminDoor(app: App, dependencies: AdminDependencies): void {
  const { config, directory, sessions, keyRotation, audit, asAdmin, record } = dependencies;

  /** The user a path names. Fails with `not_found`. */
  const target = async (c: RequestContext): Promise<Result<DirectoryEntry>> => {
    const id = c.req.param("id") ?? "";
    return isUuid(id) ? directory.get(id) : fail({ code: "not_found" });
  };

  const weakness = (password: string | undefined, username: string): Result<void> =>
    password === undefined ? ok(undefined) : newPassword(password, username, config);

  const listUsers: AdminHandler = async (c) => {
    const page = pageOf(c);
    if (!page.ok) return page;
    const wanted = c.req.query("status") ?? null;
    if (wanted !== null && wanted !== "active" && wanted !== "disabled") {
      return invalidParameter("status", "must be active or disabled");
    }
    const listed = await directory.list({
      query: c.req.query("query") ?? null,
      role: c.req.query("role") ?? null,
      status: wanted,
      ...page.value,
    });
    if (!listed.ok) return listed;
    return ok(json({ users: listed.value.users.map(userJson), next_cursor: listed.value.next }));
  };

  const createUser: AdminHandler = async (c, actor) => {
    const body = await readJson(c.req.raw, bodies.create);
    if (!body.ok) return body;
    const { username, password, role: wanted } = body.value;
    const strong = weakness(password, username);
    if (!strong.ok) return strong;
    const created = await directory.create(username, password, wanted);
    if (!created.ok) return created;
    const { id: userId, role: given, status: initial } = created.value;
    record(c, {
      event: "user.created",
      userId,
      actorId: actor.userId,
      username,
      account: { role: given, status: initial },
    });
    return ok(json(userJson(created.value), 201));
  };

  const getUser: AdminHandler = async (c) => {
    const user = await target(c);
    return user.ok ? ok(json(userJson(user.value))) : user;
  };

  const changeUser: AdminHandler = async (c, actor) => {
    const user = await target(c);
    if (!user.ok) return user;
    const body: Result<AccountChange> = await readJson(c.req.raw, bodies.change);
    if (!body.ok) return body;
    const strong = weakness(body.value.password, user.value.username);
    if (!strong.ok) return strong;
    const changed = await directory.change(user.value.id, body.value);
    if (!changed.ok) return changed;
    const { before, after } = changed.value;
    const noted = await sessions.noteAccount(after.id, after);
    if (!noted.ok) return noted;
    const passwordSet = body.value.password !== undefined;
    if (passwordSet) {
      const ended = await sessions.endAll(after.id);
      if (!ended.ok) return ended;
    }
    record(c, {
      event: "user.changed",
      userId: after.id,
      actorId: actor.userId,
      before: { role: before.role, status: before.status },
      after: { role: after.role, status: after.status },
      passwordSet,
    });
    return ok(json(userJson(after)));
  };

  const deleteUser: AdminHandler = async (c, actor) => {
    const user = await target(c);
    if (!user.ok) return user;
    // Disabled first, so that its sessions are over and logins under way come too late; each step can be repeated.
    const disabled = await directory.change(user.value.id, { status: "disabled" });
    if (!disabled.ok) return disabled;
    const noted = await sessions.noteAccount(user.value.id, disabled.value.after);
    if (!noted.ok) return noted;
    const removed = await directory.remove(user.value.id);
    if (!removed.ok) return removed;
    const { id, username, role: held, status: last } = user.value;
    record(c, {
      event: "user.deleted",
      userId: id,
      actorId: actor.userId,
      username,
      account: { role: held, status: last },
    });
    return ok(noContent());
  };

  const listSessions: AdminHandler = async (c) => {
    const user = await target(c);
    if (!user.ok) return user;
    const listed = await sessions.list(user.value.id);
    return listed.ok ? ok(json({ sessions: listed.value.map(sessionJson) })) : listed;
  };

  const endSessions: AdminHandler = async (c, actor) => {
    const user = await target(c);
    if (!user.ok) return user;
    const ended = await sessions.endAll(user.value.id);
    if (!ended.ok) return ended;
    record(c, { event: "sessions.ended", userId: user.value.id, actorId: actor.userId });
    return ok(noContent());
  };

  const endSession: AdminHandler = async (c, actor) => {
    const user = await target(c);
    if (!user.ok) return user;
    const sessionId = c.req.param("sid") ?? "";
    if (!isUuid(sessionId)) return fail({ code: "not_found" });
    const ended = await sessions.end({ userId: user.value.id, sessionId });
    if (!ended.ok) return ended;
    if (!ended.value) return fail({ code: "not_found" });
    record(c, { event: "session.ended", userId: user.value.id, sessionId, actorId: actor.userId });
    return ok(noContent());
  };

  const listKeys: AdminHandler = async () => {
    const keys = await keyRotation.list();
    return keys.ok ? ok(json({ keys: keys.value.map(keyJson) })) : keys;
  };

  const rotateKeys: AdminHandler = async (c, actor) => {
    const body = hasBody(c.req.raw) ? await readJson(c.req.raw, bodies.rotate) : ok({ compromised: false });
    if (!body.ok) return body;
    const compromised = body.value.compromised ?? false;
    const keys = await keyRotation.rotate(compromised);
    if (!keys.ok) return keys;
    const [newest] = keys.value;
    record(c, { event: "key.rotated", actorId: actor.userId, kid: newest?.kid ?? "", compromised });
    return ok(json({ keys: keys.value.map(keyJson) }));
  };

  const readAudit: AdminHandler = async (c) => {
    const page = pageOf(c);
    if (!page.ok) return page;
    const since = c.req.query("since");
    const sinceMs = since === undefined ? null : Date.parse(since);
    if (sinceMs !== null && Number.isNaN(sinceMs)) return invalidParameter("since", "must be an ISO 8601 time");
    const found = await audit.read({
      userId: c.req.query("user") ?? null,
      event: c.req.query("event") ?? null,
      since: sinceMs,
      ...page.value,
    });
    if (!found.ok) return found;
    return ok(
      json({
        events: found.value.records.map((event) => ({
          id: event.id,
          at: iso(event.at),
          event: event.event,
          user_id: event.userId,
          actor_id: event.actorId,
          session_id: event.sessionId,
          address: event.address,
          request_id: event.requestId,
          detail: event.detail,
        })),
        next_cursor: found.value.next,
      }),
    );
  };

  endpoint(app, "/admin/users", { GET: asAdmin(listUsers), POST: asAdmin(createUser) });
  endpoint(app, "/admin/users/:id", {
    GET: asAdmin(getUser),
    PATCH: asAdmin(changeUser),
    DELETE: asAdmin(deleteUser),
  });
  endpoint(app, "/admin/users/:id/sessions", { GET: asAdmin(listSessions), DELETE: asAdmin(endSessions) });
  endpoint(app, "/admin/users/:id/sessions/:sid", { DELETE: asAdmin(endSession) });
  endpoint(app, "/admin/keys", { GET: asAdmin(listKeys) });
  endpoint(app, "/admin/keys/rotate", { POST: asAdmin(rotateKeys) });
  endpoint(app, "/admin/audit", { GET: asAdmin(readAudit) });
}
