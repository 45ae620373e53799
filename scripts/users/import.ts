/**
 * `npm run users -- import`: brings the users of another system in, with the password hashes they have there. Whoever is
 * there already is left as they are, so the same file can be given twice, and an import that was broken off is resumed by
 * starting it again. Rejected records go to FILE.rejected.jsonl with their line and reason, never with their hash.
 */
import { createWriteStream } from "node:fs";
import { rm, stat } from "node:fs/promises";
import { finished } from "node:stream/promises";
import { classify } from "../../src/accounts/hash-format.ts";
import { isUsername, usernameKey } from "../../src/accounts/username.ts";
import { uuidV7 } from "./identity.ts";
import { type Progress, silent } from "./progress.ts";
import { type FileRecord, readRecords } from "./records.ts";
import { insertUsers, type NewUser, selectUsers } from "./statements.ts";
import type { Store } from "./store.ts";

export interface ImportOptions {
  /** For records that name none. */
  readonly role: string;
  /** Judge the file and change nothing. */
  readonly dryRun: boolean;
  /** Milliseconds since 1970. */
  readonly now: number;
  readonly progress?: Progress;
}

export interface ImportReport {
  readonly created: number;
  /** Records whose name is taken: by an earlier run, as a rule. */
  readonly existing: number;
  readonly rejected: number;
  /** How often each reason occurred. */
  readonly reasons: ReadonlyMap<string, number>;
  /** Null when nothing was rejected. */
  readonly rejectedFile: string | null;
}

const PAGE_USERS = 20_000;
const ROLE = /^[a-z][a-z0-9_-]{0,31}$/;
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const PLAIN_TEXT =
  "a field named password is not taken, since it may hold passwords in plain text: rename the field of hashes to password_hash";

export function isRole(role: string): boolean {
  return ROLE.test(role);
}

function checkHeader(names: readonly string[]): void {
  if (names.includes("password")) throw new Error(PLAIN_TEXT);
  for (const name of ["username", "password_hash"]) {
    if (!names.includes(name)) throw new Error(`the header has no column ${name}`);
  }
}

/** A point in time as ISO 8601 or as milliseconds since 1970; null when it is neither. */
function timeOf(value: unknown): number | null {
  const text = String(value);
  const time = /^\d{1,15}$/.test(text) ? Number(text) : /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isSafeInteger(time) && time >= 0 ? time : null;
}

/** The user in a record, or the reason why there is none. */
export function userOf(record: FileRecord, { role: defaultRole, now }: ImportOptions): NewUser | string {
  if ("fault" in record) return record.fault;
  const {
    username,
    password_hash: hash,
    role = defaultRole,
    status = "active",
    id,
    created_at: created,
  } = record.fields;
  if ("password" in record.fields) return PLAIN_TEXT;
  if (typeof username !== "string") return "has no username";
  if (!isUsername(username)) return "has a username that is too long, or has blanks at its ends or control characters";
  if (typeof hash !== "string") return "has no password_hash";
  const format = classify(hash);
  if (typeof format === "string") return `the hash ${format}`;
  if (typeof role !== "string" || !isRole(role)) return "has a role that is not a lower-case name";
  if (status !== "active" && status !== "disabled") return "has a status other than active and disabled";
  const uuid = typeof id === "string" ? id.toLowerCase() : uuidV7(now);
  if ((id !== undefined && typeof id !== "string") || !UUID.test(uuid)) return "has an id that is not a UUID";
  const createdAt = created === undefined ? now : timeOf(created);
  if (createdAt === null) return "has a created_at that is neither ISO 8601 nor milliseconds since 1970";
  return {
    id: uuid,
    username,
    usernameKey: usernameKey(username),
    passwordHash: hash,
    role,
    status,
    createdAt,
  };
}

/** Names and ids that are taken. */
async function takenIn(store: Store): Promise<{ keys: Set<string>; ids: Set<string> }> {
  const keys = new Set<string>();
  const ids = new Set<string>();
  let after = "";
  for (;;) {
    const page = await store.read<{ id: string; username_key: string }>(
      selectUsers("id, username_key", {}, after, PAGE_USERS),
    );
    for (const { id, username_key: key } of page) {
      keys.add(key);
      ids.add(id);
      after = key;
    }
    if (page.length < PAGE_USERS) return { keys, ids };
  }
}

/** Imports the users in the file at `path`, a .csv or .jsonl. */
export async function importUsers(store: Store, path: string, options: ImportOptions): Promise<ImportReport> {
  const { progress = silent } = options;
  const { size } = await stat(path);
  const { keys, ids } = await takenIn(store);
  const lineOfKey = new Map<string, number>();
  const reasons = new Map<string, number>();
  const rejectedFile = `${path}.rejected.jsonl`;
  await rm(rejectedFile, { force: true });
  const rejections = createWriteStream(rejectedFile, { flags: "w", mode: 0o600 });

  let batch: NewUser[] = [];
  let created = 0;
  let existing = 0;
  let rejected = 0;
  let bytesRead = 0;

  const flush = async (): Promise<void> => {
    if (batch.length > 0 && !options.dryRun) await store.write(insertUsers(batch));
    created += batch.length;
    batch = [];
    progress.show(bytesRead / size, `${created} created, ${existing} already there, ${rejected} rejected`);
  };
  const reject = (record: FileRecord, reason: string, group = reason): void => {
    rejected++;
    reasons.set(group, (reasons.get(group) ?? 0) + 1);
    const username = "fields" in record ? record.fields["username"] : undefined;
    rejections.write(`${JSON.stringify({ line: record.line, username, reason })}\n`);
  };

  try {
    const records = readRecords(path, checkHeader, (bytes) => {
      bytesRead += bytes;
    });
    for await (const record of records) {
      const user = userOf(record, options);
      if (typeof user === "string") {
        reject(record, user);
        continue;
      }
      const earlier = lineOfKey.get(user.usernameKey);
      if (earlier !== undefined) {
        reject(record, `has the same username as line ${earlier}`, "has the same username as an earlier line");
        continue;
      }
      lineOfKey.set(user.usernameKey, record.line);
      if (keys.has(user.usernameKey)) {
        existing++;
        continue;
      }
      if (ids.has(user.id)) {
        reject(record, "has the id of another user");
        continue;
      }
      ids.add(user.id);
      batch.push(user);
      if (batch.length === store.batchUsers) await flush();
    }
    await flush();
  } finally {
    progress.end();
    rejections.end();
    await finished(rejections);
    if (rejected === 0) await rm(rejectedFile);
  }
  return { created, existing, rejected, reasons, rejectedFile: rejected === 0 ? null : rejectedFile };
}
