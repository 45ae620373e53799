/**
 * `/admin/transition`: the figures by which a team decides when to go on, and who is still on sessions, as JSON or as
 * CSV for the mails.
 */
import { ok } from "../kit/result.ts";
import { type SessionUser, usersCsv } from "../transition/report.ts";
import type { Transition } from "../transition/transition.ts";
import { type AdminHandler, type AsAdmin, countParameter, iso, pageOf } from "./admin-guard.ts";
import { type App, endpoint, json } from "./endpoint.ts";

const DAYS_DEFAULT = 30;
const DAYS_MAX = 400;

function userJson({ last_seen_at: lastSeenAt, ...user }: SessionUser) {
  return Object.assign(user, { last_seen_at: iso(lastSeenAt) });
}

/** @param transition null: there are no sessions, and the figures say so */
export function adminTransitionDoor(app: App, asAdmin: AsAdmin, transition: Transition | null): void {
  const summary: AdminHandler = async (c) => {
    const days = countParameter(c, "days", DAYS_DEFAULT, DAYS_MAX);
    if (!days.ok) return days;
    if (transition === null) return ok(json({ sunset: null, rollout_percent: 100, days: [], figures: [] }));
    const read = await transition.report.summary(days.value);
    if (!read.ok) return read;
    const { sunsetAt, rollout } = transition.config;
    return ok(
      json({
        sunset: sunsetAt === null ? null : iso(sunsetAt),
        rollout_percent: rollout.percent,
        days: read.value.days.map((day) => ({
          day: day.day,
          jwt_requests: day.jwtRequests,
          jwt_logins: day.jwtLogins,
        })),
        figures: read.value.figures,
      }),
    );
  };

  const users: AdminHandler = async (c) => {
    const page = pageOf(c);
    if (!page.ok) return page;
    const { cursor, limit } = page.value;
    const read = transition === null ? ok([]) : await transition.report.usersOnSessions(cursor, limit);
    if (!read.ok) return read;
    const next = read.value.length === limit ? (read.value.at(-1)?.user_id ?? null) : null;
    if (c.req.query("format") === "csv" || c.req.header("Accept")?.includes("text/csv") === true) {
      const headers: Record<string, string> = {
        "Content-Type": "text/csv; charset=utf-8",
        "Content-Disposition": 'attachment; filename="users-on-sessions.csv"',
        "Cache-Control": "no-store",
      };
      if (next !== null)
        headers["Link"] = `</admin/transition/users?format=csv&limit=${limit}&cursor=${next}>; rel="next"`;
      return ok(new Response(usersCsv(read.value), { headers }));
    }
    return ok(json({ users: read.value.map(userJson), next_cursor: next }));
  };

  endpoint(app, "/admin/transition", { GET: asAdmin(summary) });
  endpoint(app, "/admin/transition/users", { GET: asAdmin(users) });
}
