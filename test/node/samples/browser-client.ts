// Plays a browser for the sample in docs/auth-migration-guide.md: `node browser-client.ts MODULE URL` gives it a fetch
// with relative URLs and a cookie jar, lets a token expire once, and prints what came of each step.
const [, , modulePath = "", base = ""] = process.argv;
const jar = new Map<string, string>();
const real = globalThis.fetch;
const log: string[] = [];
let expireNext = false;

/** A gateway's answer to an expired token, without waiting a quarter of an hour. */
const expired = (): Response =>
  new Response(null, {
    status: 401,
    headers: { "WWW-Authenticate": 'Bearer realm="postern", error="invalid_token", error_description="token expired"' },
  });

globalThis.fetch = async (input, options = {}) => {
  const path = input instanceof Request ? input.url : input.toString();
  const headers = new Headers(options.headers);
  headers.set("CF-Connecting-IP", "198.51.100.250");
  headers.set("Cookie", [...jar].map(([name, value]) => `${name}=${value}`).join("; "));
  const answer = expireNext && path.startsWith("/api/") ? expired() : await real(base + path, { ...options, headers });
  if (path.startsWith("/api/")) expireNext = false;
  for (const cookie of answer.headers.getSetCookie()) {
    const [, name = "", value = ""] = /^([^=]+)=([^;]*)/.exec(cookie) ?? [];
    jar.set(name, value);
  }
  log.push(`${options.method ?? "GET"} ${path} ${answer.status}`);
  return answer;
};

const { login, call } = (await import(modulePath)) as {
  readonly login: (username: string, password: string) => Promise<void>;
  readonly call: (path: string) => Promise<Response>;
};
await login("test", "test123");
await call("/api/users");
expireNext = true;
await call("/api/users");
console.log(log.join("\n"));
