/**
 * Who gets tokens at login while both credentials are in use. Each user has one place in [0, 100), by a hash of salt and
 * id, and is in when the percentage lies above it: the same answer every time and everywhere, and whoever is in at 10 %
 * is in at 50 %. It decides about logins and exchanges only: what is out already stays good.
 */
import { BoundedMap } from "../kit/bounded-map.ts";
import { utf8 } from "../kit/encoding.ts";
import { sha256 } from "../kit/secrets.ts";
import type { Rollout } from "../kit/transition-config.ts";

const REMEMBERED_USERS = 10_000;

export interface RolloutUser {
  readonly id: string;
  /** Null where it is not known: then only the id can be on the list. */
  readonly username: string | null;
  readonly role: string;
}

/** The user's place in [0, 100). */
export async function placeOf(userId: string, salt: string): Promise<number> {
  const digest = await sha256(utf8(`${salt}:${userId}`));
  return (new DataView(digest.buffer).getUint32(0) / 2 ** 32) * 100;
}

/** Returns the decision. Places are remembered, since every response to a session asks. */
export function createRollout({ percent, salt, roles, users }: Rollout): (user: RolloutUser) => Promise<boolean> {
  const places = new BoundedMap<string, number>(REMEMBERED_USERS);
  return async ({ id, username, role }) => {
    if (roles.includes(role) || users.includes(id) || (username !== null && users.includes(username))) return true;
    if (percent === 0 || percent === 100) return percent === 100;
    let place = places.get(id);
    if (place === undefined) places.set(id, (place = await placeOf(id, salt)));
    return place < percent;
  };
}
