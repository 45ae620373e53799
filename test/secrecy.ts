// What was logged in this test file, and what must not have been: the secrets that its requests sent and its responses
// brought, found on their way through an Edge. setup.ts looks after the last test of every file. A test that
// silences the console hides nothing.
import { env } from "cloudflare:workers";

/** Shorter texts (`x` as a wrong password) would be found in anything. */
const SECRET_MIN_CHARACTERS = 8;
const SECRET_MEMBERS = /^(?:password|current_password|new_password|access_token|refresh_token)$/;
const SECRET_COOKIES = /^(?:__Host-refresh_token|session_id)=([^;]+)/;
const LOCAL = /^127\.|^::1$/;

/** What is a secret whoever's it is. */
const KINDS: readonly (readonly [kind: string, pattern: RegExp])[] = [
  ["a JWT", /eyJ[\w-]{8,}/],
  ["a refresh token", /prt1_[\w-]{4,}/],
  ["a password hash", /\$(?:argon2|2[aby]|pbkdf2|scrypt)|(?:pbkdf2|scrypt):/],
  ["part of a private key", /"(?:d|p|q|dp|dq|qi)":"|BEGIN (?:RSA )?PRIVATE/],
  ["credentials in a header", /\bBearer [\w.-]{8,}/],
];

const lines: string[] = [];
const secrets = new Set<string>([env.AUTH_SECRET, env.ORIGIN_SECRET]);

type Write = (...values: unknown[]) => void;

const watched = new WeakSet<Write>();

/** A console method that keeps what it is given, then does what it did. */
function watching(write: Write): Write {
  if (watched.has(write)) return write;
  const watch: Write = (...values) => {
    lines.push(values.map(String).join(" "));
    write(...values);
  };
  watched.add(watch);
  return watch;
}

/** From here on keeps every line, whatever a test puts in the place of a console method, silence included. */
export function watchConsole(): void {
  globalThis.console = new Proxy(console, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name);
      const isWriting = typeof value === "function" && ["debug", "error", "info", "log", "warn"].includes(String(name));
      return isWriting ? watching(value as Write) : value;
    },
  });
}

function noteSecret(text: string): void {
  if (text.length >= SECRET_MIN_CHARACTERS) secrets.add(text);
}

function noteMembers(value: unknown): void {
  if (typeof value !== "object" || value === null) return;
  for (const [name, member] of Object.entries(value)) {
    if (typeof member === "string" && SECRET_MEMBERS.test(name)) noteSecret(member);
  }
}

/** Takes the secrets out of a request: the passwords in its body, and its full address. */
export function noteRequest(headers: Headers, body: unknown): void {
  const address = headers.get("CF-Connecting-IP") ?? "";
  if (!LOCAL.test(address)) noteSecret(address);
  if (typeof body !== "string") return;
  try {
    noteMembers(JSON.parse(body));
  } catch {
    // No JSON: then Postern reads no secret in it either.
  }
}

/** Takes the secrets out of a response of Postern's own, and fails if it shows one that has no place there. */
export async function noteResponse(path: string, response: Response): Promise<void> {
  for (const cookie of response.headers.getSetCookie()) noteSecret(SECRET_COOKIES.exec(cookie)?.[1] ?? "");
  if (!/^\/(?:auth|admin|problems|\.well-known)\//.test(path)) return;
  const text = await response.clone().text();
  const shown = [env.AUTH_SECRET, env.ORIGIN_SECRET].some((secret) => text.includes(secret));
  const kinds = KINDS.filter(([kind, pattern]) => /hash|key/.test(kind) && pattern.test(text)).map(([kind]) => kind);
  if (shown || kinds.length > 0) throw new Error(`${path} shows ${kinds.join(", ") || "a secret of the Worker"}`);
  if (response.headers.get("Content-Type")?.includes("json") === true) noteMembers(JSON.parse(text || "null"));
}

/** What `logged` gives away, by line; empty is as it should be. */
export function leaksIn(logged: readonly string[], known: Iterable<string>): string[] {
  const all = [...known];
  return logged.flatMap((line) => [
    ...KINDS.filter(([, pattern]) => pattern.test(line)).map(([kind]) => `${kind}: ${line}`),
    ...all.filter((secret) => line.includes(secret)).map(() => `a secret of this file: ${line}`),
  ]);
}

/** What this file has given away so far. */
export function leaks(): string[] {
  return leaksIn(lines, secrets);
}

/** The lines and secrets noted so far, for the test of all this. */
export function noted(): { readonly lines: readonly string[]; readonly secrets: ReadonlySet<string> } {
  return { lines, secrets };
}

/** Takes a line out again that a test gave away on purpose. */
export function forgetLine(line: string): void {
  for (let at = lines.indexOf(line); at !== -1; at = lines.indexOf(line)) lines.splice(at, 1);
}
