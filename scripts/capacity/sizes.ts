// What a user and an audit event weigh in D1: rows like the real ones, in SQLite with the real schema.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";

const MIGRATIONS = join(import.meta.dirname, "../../migrations");
const ROWS = 10_000;
const USER = "INSERT INTO users VALUES (?, ?, ?, ?, 'user', 'active', 1, 1790000000000, 1790000000000)";
const EVENT = "INSERT INTO audit_events VALUES (?, 1790000000000, 'login.succeeded', ?, NULL, ?, ?, ?, '{}')";
/** An Argon2id hash as a PHC string has this length. */
const HASH_CHARACTERS = 97;

export interface Sizes {
  readonly userBytes: number;
  readonly eventBytes: number;
}

/** An id that sorts by time, and repeatably the same: 48 bits of time, then digits well mixed. */
function idOf(i: number): string {
  const mixed = ((i * 2654435761) % 2 ** 32).toString(16).padStart(8, "0");
  return `0192${(i * 50).toString(16).padStart(4, "0").slice(-4)}-${mixed.slice(0, 4)}-7000-8000-${mixed}${mixed.slice(4)}`;
}

function bytesOf(database: DatabaseSync): number {
  const { page_count: pages } = database.prepare("PRAGMA page_count").get() ?? {};
  const { page_size: size } = database.prepare("PRAGMA page_size").get() ?? {};
  return Number(pages) * Number(size);
}

/** Bytes per row with its indexes, over ten thousand of each. */
export function measureSizes(): Sizes {
  const database = new DatabaseSync(":memory:");
  for (const file of readdirSync(MIGRATIONS).toSorted()) database.exec(readFileSync(join(MIGRATIONS, file), "utf8"));
  const grow = (insert: (i: number) => void): number => {
    const before = bytesOf(database);
    for (let i = 0; i < ROWS; i++) insert(i);
    return Math.ceil((bytesOf(database) - before) / ROWS);
  };
  const user = database.prepare(USER);
  const event = database.prepare(EVENT);
  const hash = "h".repeat(HASH_CHARACTERS);
  const userBytes = grow((i) => {
    const name = `${idOf(i).slice(-10)}@example.com`;
    user.run(idOf(i), name, name, hash);
  });
  const eventBytes = grow((i) => event.run(idOf(i), idOf(i * 7), idOf(i * 3), "2001:db8:1234:5678::/64", idOf(i)));
  database.close();
  return { userBytes, eventBytes };
}
