/**
 * The file in which `npm run setup` keeps what it made up, for its owner's eyes only: Cloudflare never shows a secret
 * again, the origin needs one of them, and changing another needs its old value. A value is written here before it is
 * used anywhere, so an interrupted setup goes on with the same one. Not a place to leave them.
 */
import { randomBytes } from "node:crypto";
import { chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { parseEnv } from "node:util";
import { StepFailure } from "./steps.ts";

const SECRET_BYTES = 32;
const PASSWORD_BYTES = 24;
const OWNER_ONLY_FILE = 0o600;
const OWNER_ONLY_FOLDER = 0o700;

export interface KeptSecrets {
  readonly path: string;
  /** The value kept under `name`; makes one up and keeps it if there is none. Throws when it is no good secret. */
  secret(name: string): Promise<string>;
  /** The same for a password. */
  password(name: string): Promise<string>;
  /** Keeps something that is no secret beside them. */
  note(name: string, value: string): Promise<void>;
}

export function keptSecretsIn(path: string): KeptSecrets {
  const read = async (): Promise<Record<string, string | undefined>> => {
    try {
      return parseEnv(await readFile(path, "utf8"));
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "ENOENT") return {};
      throw error;
    }
  };
  const keep = async (name: string, value: string): Promise<void> => {
    await mkdir(dirname(path), { recursive: true, mode: OWNER_ONLY_FOLDER });
    await writeFile(path, `${name}='${value}'\n`, { flag: "a", mode: OWNER_ONLY_FILE });
    await chmod(path, OWNER_ONLY_FILE);
  };
  const keptOr = async (name: string, make: () => string): Promise<string> => {
    const kept = (await read())[name];
    if (kept !== undefined) return kept;
    const made = make();
    await keep(name, made);
    return made;
  };
  return {
    path,
    async secret(name) {
      const value = await keptOr(name, () => randomBytes(SECRET_BYTES).toString("base64"));
      const bytes = Buffer.from(value, "base64");
      if (bytes.byteLength < SECRET_BYTES || bytes.toString("base64") !== value) {
        throw new StepFailure(
          `${name} in ${path} is not base64 of at least ${SECRET_BYTES} random bytes`,
          `Remove its line, and setup makes one; or put there what \`openssl rand -base64 ${SECRET_BYTES}\` prints`,
        );
      }
      return value;
    },
    password: (name) => keptOr(name, () => randomBytes(PASSWORD_BYTES).toString("base64url")),
    async note(name, value) {
      if ((await read())[name] !== value) await keep(name, value);
    },
  };
}
