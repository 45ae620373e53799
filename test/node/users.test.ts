// `npm run users`: as its user runs it, against a local database of its own, and what it would give to wrangler.
import { execFile, spawn } from "node:child_process";
import { access, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { PassThrough } from "node:stream";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, it } from "vitest";
import { prepareDatabase } from "../../scripts/dev/database.ts";
import { EXIT_FAILED, runCommandLine } from "../../scripts/users/commands.ts";
import { userOf } from "../../scripts/users/import.ts";
import { hashPassword } from "../../scripts/users/identity.ts";
import { silent } from "../../scripts/users/progress.ts";
import { csvRows } from "../../scripts/users/records.ts";
import { insertUsers, literal, type NewUser, updateUser } from "../../scripts/users/statements.ts";
import { openLocal, rowsOf, type Store, wranglerArguments } from "../../scripts/users/store.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const BCRYPT = `$2b$12$${"A".repeat(53)}`;
const WERKZEUG = `scrypt:32768:8:1$salt$${"ab".repeat(64)}`;
const DJANGO = `pbkdf2_sha256$1000000$salt$${"A".repeat(43)}=`;

let folder: string;
let store: Store;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "postern-users-test-"));
  await prepareDatabase(ROOT, folder);
  store = await openLocal(ROOT, folder);
});

afterAll(async () => {
  await store.close();
  await rm(folder, { recursive: true });
});

interface Outcome {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** Runs a command line in this process, on the database that is open already. */
async function users(args: string[], password = ""): Promise<Outcome> {
  const output = new PassThrough();
  const out = text(output);
  let code: number | null = EXIT_FAILED;
  let err = "";
  try {
    code = await runCommandLine(args, {
      openStore: async () => ({ ...store, close: async () => {} }),
      print: (lines) => output.write(`${lines}\n`),
      readPassword: async () => password,
      progress: silent,
      output,
    });
  } catch (error) {
    err = error instanceof Error ? error.message : String(error);
  }
  output.end();
  return { code, out: await out, err };
}

/** Runs a command line as `npm run users` does. */
async function usersProcess(args: string[], input = ""): Promise<Outcome> {
  const child = spawn(process.execPath, [join(ROOT, "scripts/users.ts"), ...args], { cwd: ROOT });
  child.stdin.end(input);
  const ended = new Promise<number | null>((done) => child.once("close", done));
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)]);
  return { code: await ended, out, err };
}

interface Row {
  readonly id: string;
  readonly username: string;
  readonly username_key: string;
  readonly password_hash: string;
  readonly role: string;
  readonly status: string;
  readonly revision: number;
  readonly created_at: number;
  readonly updated_at: number;
}

const rowOf = async (key: string): Promise<Row | undefined> =>
  (await store.read<Row>(`SELECT * FROM users WHERE username_key = ${literal(key)}`))[0];

const file = async (name: string, content: string): Promise<string> => {
  const path = join(folder, name);
  await writeFile(path, content);
  return path;
};

describe("one user", () => {
  it("is created with the hash, key and id that the Worker would make, and only once", async ({ expect }) => {
    const made = await users(["create", "Änne", "--role", "admin", "--password-stdin"], "correct horse battery staple");
    expect(made).toMatchObject({ code: 0, err: "" });
    const row = await rowOf("änne");
    expect(row).toMatchObject({ username: "Änne", role: "admin", status: "active", revision: 1 });
    expect(row?.password_hash).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
    expect(row?.id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);

    const again = await users(["create", "ÄNNE", "--password-stdin"], "another good password");
    expect(again).toMatchObject({ code: 1, err: "there is a user ÄNNE already" });
  });

  it("gets no password that the policy refuses, unless that is asked for and local", async ({ expect }) => {
    const weak = await users(["create", "weak", "--password-stdin"], "football");
    expect(weak).toMatchObject({ code: 1, err: "The password is shorter than 15 characters." });
    const allowed = await users(["create", "weak", "--password-stdin", "--allow-weak"], "football");
    expect(allowed.code).toBe(0);
  });

  it("is changed with a higher revision, and not at all when nothing changes", async ({ expect }) => {
    await store.write(insertUsers([userNamed("changing")]));
    const first = await users(["set-role", "CHANGING", "editor"]);
    expect(first.out).toBe("changing is editor now; sessions that are open go on as they are (see --help)\n");
    expect(await rowOf("changing")).toMatchObject({ role: "editor", revision: 2 });
    expect((await users(["set-role", "changing", "editor"])).out).toBe("changing is editor already\n");
    expect(await rowOf("changing")).toMatchObject({ revision: 2 });

    await users(["disable", "changing"]);
    expect(await rowOf("changing")).toMatchObject({ status: "disabled", revision: 3 });
    await users(["enable", "changing"]);
    expect(await rowOf("changing")).toMatchObject({ status: "active", revision: 4 });
    await users(["set-password", "changing", "--password-stdin"], "correct horse battery staple");
    const row = await rowOf("changing");
    expect(row).toMatchObject({ revision: 5, created_at: 1_700_000_000_000 });
    expect(row?.updated_at).toBeGreaterThan(1_700_000_000_000);
    expect(row?.password_hash).toMatch(/^\$argon2id\$/);
  });

  it("must exist to be changed", async ({ expect }) => {
    expect(await users(["disable", "nobody"])).toMatchObject({
      code: 1,
      err: "there is no user nobody",
    });
  });
});

describe("import", () => {
  it("takes CSV with quotes, line ends of any kind and columns of its own, and rejects by line and reason", async ({
    expect,
  }) => {
    const path = await file(
      "people.csv",
      "\ufeffusername,password_hash,role,note,status\r\n" +
        `o'brien,${BCRYPT},,"a ""note"",\r\nin two lines",\r\n` +
        `"semi;colon -- x",${DJANGO},admin,,disabled\r\n` +
        `plain,hunter2,,,\r\n` +
        `O'BRIEN,${WERKZEUG},,,\r\n` +
        `short,${BCRYPT}\r\n` +
        `boss,${BCRYPT},Big Boss,,\r\n` +
        `costly,pbkdf2_sha256$9000000$salt$${"A".repeat(43)}=,,,\r\n`,
    );
    const first = await users(["import", path]);
    expect(first.code).toBe(2);
    expect(first.out).toContain("2 created, 0 there already and left as they are, 5 rejected");
    expect(await rowOf("o'brien")).toMatchObject({ password_hash: BCRYPT, role: "user", status: "active" });
    expect(await rowOf("semi;colon -- x")).toMatchObject({ password_hash: DJANGO, role: "admin", status: "disabled" });

    const rejected = (await readFile(`${path}.rejected.jsonl`, "utf8")).trim().split("\n");
    expect(rejected.map((line) => JSON.parse(line) as unknown)).toEqual([
      { line: 5, username: "plain", reason: expect.stringContaining("the hash is in no format") as string },
      { line: 6, username: "O'BRIEN", reason: "has the same username as line 2" },
      { line: 7, reason: "has 2 fields where the header has 5" },
      { line: 8, username: "boss", reason: "has a role that is not a lower-case name" },
      { line: 9, username: "costly", reason: "the hash has more than 2000000 iterations of PBKDF2 with SHA-256" },
    ]);
    expect(rejected.join("")).not.toContain("hunter2");

    const before = await rowOf("o'brien");
    const second = await users(["import", path]);
    expect(second.out).toContain("0 created, 2 there already and left as they are, 5 rejected");
    expect(await rowOf("o'brien")).toEqual(before);
  });

  it("takes JSON Lines with ids and dates, goes on where a broken-off run ended, and leaves existing users alone", async ({
    expect,
  }) => {
    const records = Array.from({ length: 2_500 }, (_, i) =>
      JSON.stringify({
        username: `person ${i}`,
        password_hash: WERKZEUG,
        ...(i === 0 && { id: "0193A000-0000-4000-8000-00000000000A", created_at: "2020-02-03T04:05:06Z" }),
      }),
    );
    const half = await file("half.jsonl", records.slice(0, 1_200).join("\n"));
    expect((await users(["import", half])).out).toContain("1200 created, 0 there already");
    await users(["set-role", "person 0", "editor"]);
    const whole = await file("whole.jsonl", `${records.join("\n")}\n{"username":\n[]\n`);
    expect((await users(["import", whole])).out).toContain(
      "1300 created, 1200 there already and left as they are, 2 rejected",
    );
    expect(await rowOf("person 0")).toMatchObject({
      id: "0193a000-0000-4000-8000-00000000000a",
      role: "editor",
      created_at: Date.UTC(2020, 1, 3, 4, 5, 6),
    });
  });

  it("changes nothing in a dry run, and leaves no file when nothing is rejected", async ({ expect }) => {
    const path = await file("dry.csv", `username,password_hash\ndry,${BCRYPT}\n`);
    expect(await users(["import", path, "--dry-run"])).toMatchObject({ code: 0, err: "" });
    expect(await rowOf("dry")).toBe(undefined);
    await expect(access(`${path}.rejected.jsonl`)).rejects.toThrow("ENOENT");
  });

  it.for([
    ["a column of plain passwords", "username,password\na,b\n", "since it may hold passwords in plain text"],
    ["no column of hashes", "username,hash\na,b\n", "the header has no column password_hash"],
    ["a quote that is never closed", `username,password_hash\n"a,${BCRYPT}\n`, "line 2: a quote is never closed"],
    ["another encoding", Buffer.from(`username,password_hash\nM\xfcller,x\n`, "latin1"), "is not UTF-8"],
  ] as const)("stops at a file with %s", async ([, content, reason], { expect }) => {
    const path = join(folder, "faulty.csv");
    await writeFile(path, content);
    const { code, err } = await users(["import", path]);
    expect(code).toBe(1);
    expect(err).toContain(reason);
  });

  it("names the fault of every field", ({ expect }) => {
    const options = { role: "user", dryRun: false, now: 1_700_000_000_000 };
    const good = { username: "a", password_hash: BCRYPT };
    const reasonFor = (fields: Record<string, unknown>): unknown => userOf({ line: 1, fields }, options);
    expect(reasonFor(good)).toMatchObject({ usernameKey: "a", role: "user", createdAt: options.now });
    expect(reasonFor({ ...good, created_at: 5 })).toMatchObject({ createdAt: 5 });
    expect(reasonFor({ ...good, password: "x" })).toContain("plain text");
    expect(reasonFor({ password_hash: BCRYPT })).toBe("has no username");
    expect(reasonFor({ ...good, username: " a" })).toContain("has a username that");
    expect(reasonFor({ username: "a" })).toBe("has no password_hash");
    expect(reasonFor({ ...good, status: "gone" })).toBe("has a status other than active and disabled");
    expect(reasonFor({ ...good, id: 7 })).toBe("has an id that is not a UUID");
    expect(reasonFor({ ...good, id: "7" })).toBe("has an id that is not a UUID");
    expect(reasonFor({ ...good, created_at: "yesterday" })).toContain("created_at");
  });
});

describe("export and list", () => {
  it("writes what import reads: everybody is there already", async ({ expect }) => {
    for (const name of ["all.csv", "all.jsonl"]) {
      const path = join(folder, name);
      expect((await users(["export", path])).out).toMatch(/^wrote \d+ users with their password hashes/);
      expect((await stat(path)).mode & 0o777).toBe(0o600);
      expect((await users(["export", path])).code).toBe(1);
      const { code, out } = await users(["import", path]);
      expect(code).toBe(0);
      expect(out).toMatch(/^0 created, [1-9]\d* there already/);
    }
  });

  it("lists by name, role and status, and never a hash", async ({ expect }) => {
    await store.write(insertUsers([userNamed("Listed One"), userNamed("listed two", "auditor")]));
    expect((await users(["list", "--query", "LISTED"])).out.match(/listed (?:one|two)$/gim)).toHaveLength(2);
    const { out } = await users(["list", "--role", "auditor", "--status", "active", "--json"]);
    expect(JSON.parse(out)).toMatchObject({ username: "listed two", role: "auditor", status: "active" });
    expect(out).not.toContain("$2b$");
  });
});

describe("the deployed database", () => {
  it("is reached through wrangler, with the SQL as one argument that cannot be taken for a flag", ({ expect }) => {
    expect(wranglerArguments({ command: "SELECT 1" }, undefined)).toEqual(
      ["d1", "execute", "DB", "--remote", "--yes", "--json", "--command=SELECT 1"], // prettier-ignore
    );
    expect(wranglerArguments({ file: "/tmp/x.sql" }, "production").slice(-3)).toEqual([
      "--env",
      "production",
      "--file=/tmp/x.sql",
    ]);
  });

  it("answers with rows, or is an error", ({ expect }) => {
    expect(rowsOf('[{"results":[{"id":1}],"success":true,"meta":{}}]')).toEqual([{ id: 1 }]);
    expect(() => rowsOf('[{"success":false}]')).toThrow("wrangler did not report success");
  });

  it("takes the same SQL as the local one: wrangler reads it back", async ({ expect }) => {
    const path = await file("wrangler.sql", insertUsers([userNamed("o'neill; -- x\ny")]).join(";\n"));
    const args = ["d1", "execute", "DB", "--local", "--persist-to", folder, "--yes", "--json"];
    const wrangler = (task: string): Promise<string> =>
      new Promise((done, failed) => {
        const command = [join(ROOT, "node_modules/wrangler/bin/wrangler.js"), ...args, task];
        execFile(process.execPath, command, { cwd: ROOT }, (error, out) =>
          error === null ? done(out) : failed(error),
        );
      });
    await wrangler(`--file=${path}`);
    const output = await wrangler(`--command=SELECT username FROM users WHERE username LIKE 'o''neill%'`);
    expect(rowsOf(output)).toEqual([{ username: "o'neill; -- x\ny" }]);
  });

  it("is never given a weak password, and an environment only with --remote", async ({ expect }) => {
    expect((await users(["list", "--env", "production"])).err).toContain("--env goes with --remote");
  });
});

describe("the SQL", () => {
  it("quotes every text and refuses what SQL cannot carry", ({ expect }) => {
    expect(literal("a'b''c")).toBe("'a''b''''c'");
    expect(literal(42)).toBe("42");
    expect(() => literal("a\0b")).toThrow("U+0000");
    expect(() => literal(1.5)).toThrow("whole numbers");
  });

  it("stays below the 100,000 bytes that D1 takes in a statement", ({ expect }) => {
    const statements = insertUsers(Array.from({ length: 1_000 }, (_, i) => userNamed(`üser ${i}`)));
    expect(statements.length).toBeGreaterThan(1);
    for (const statement of statements) expect(Buffer.byteLength(statement)).toBeLessThan(100_000);
    expect(insertUsers([])).toEqual([]);
  });

  it("raises revision and time with every change, and not without one", ({ expect }) => {
    expect(updateUser("Bob", "status", "disabled", 7)).toBe(
      "UPDATE users SET status = 'disabled', revision = revision + 1, updated_at = 7 " +
        "WHERE username_key = 'bob' AND status <> 'disabled'",
    );
  });
});

describe("CSV", () => {
  it("comes out the same however it is cut into pieces", async ({ expect }) => {
    const whole = 'a,b\r\n"x ""y"", z",\n\n"two\nlines",3';
    const read = async (size: number): Promise<unknown[]> => {
      const pieces = async function* (): AsyncGenerator<string> {
        for (let i = 0; i < whole.length; i += size) yield whole.slice(i, i + size);
      };
      return Array.fromAsync(csvRows(pieces()));
    };
    const expected = [
      { line: 1, values: ["a", "b"] },
      { line: 2, values: ['x "y", z', ""] },
      { line: 4, values: ["two\nlines", "3"] },
    ];
    for (let size = 1; size <= whole.length; size++) expect(await read(size), `pieces of ${size}`).toEqual(expected);
  });
});

describe("the command line", () => {
  it("works on the files that npm run dev uses, with the password from the standard input", async ({ expect }) => {
    const args = ["create", "piped", "--password-stdin", "--allow-weak", "--persist-to", folder];
    const made = await usersProcess(args, "football\r\nsecond line\n");
    expect(made).toMatchObject({ code: 0, err: "" });
    expect(await rowOf("piped")).toMatchObject({ username: "piped", role: "user" });
    const again = await usersProcess(args, "football\n");
    expect(again).toMatchObject({ code: 1, out: "", err: "npm run users: there is a user piped already\n" });
  });

  it("says so when there is no local database yet", async ({ expect }) => {
    const { code, err } = await usersProcess(["list", "--persist-to", join(folder, "empty")]);
    expect(code).toBe(1);
    expect(err).toContain("npm run dev makes it");
  });

  it("explains itself, and says what it does not do to open sessions", async ({ expect }) => {
    const { code, out } = await users(["--help"]);
    expect(code).toBe(0);
    expect(out).toContain("A session that is open keeps the role it has");
  });

  it.for([
    [["frobnicate"], "there is no command frobnicate"],
    [["set-role", "bob"], "set-role does not take 1 operands"],
    [["list", "--frobnicate"], "Unknown option"],
    [["create", " bob"], "that cannot be a username"],
    [["set-role", "test", "Big Boss"], "a role is a lower-case name"],
    [["export", "x.xml"], "only .csv and .jsonl can be written"],
    [["import", "x.xml"], "ENOENT"],
  ] as const)("refuses %j with a reason", async ([args, reason], { expect }) => {
    const { code, err } = await users([...args]);
    expect(code).toBe(1);
    expect(err).toContain(reason);
  });

  it("hashes as the Worker does, every byte of a password that is not ASCII", ({ expect }) => {
    expect(hashPassword("пароль-для-входа")).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$[^$]{22}\$[^$]{43}$/);
  });
});

function userNamed(username: string, role = "user"): NewUser {
  const id = crypto.randomUUID();
  const usernameKey = username.toLowerCase();
  return { id, username, usernameKey, passwordHash: BCRYPT, role, status: "active", createdAt: 1_700_000_000_000 };
}
