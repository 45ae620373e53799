/**
 * A Postern of the smoke test's own: `npm run dev` on a free port, with data that is thrown away afterwards.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

export interface Server {
  readonly url: string;
  stop(): Promise<void>;
}

const DEV_SCRIPT = resolve(import.meta.dirname, "../dev.ts");
const START_TIMEOUT_MS = 60_000;

/** Starts Postern with `flags` and waits until it serves. Throws with its output when it does not. */
export async function startPostern(flags: readonly string[]): Promise<Server> {
  const persistTo = await mkdtemp(join(tmpdir(), "postern-smoke-"));
  const args = [DEV_SCRIPT, "--port", "0", "--persist-to", persistTo, ...flags];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
  const ended = once(child, "exit");

  const stop = async (): Promise<void> => {
    child.kill("SIGTERM");
    await ended;
    await rm(persistTo, { recursive: true, force: true });
  };

  let output = "";
  const ready = new Promise<string>((found) => {
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        output += text;
        const url = /Postern is ready on (\S+)/.exec(output)?.[1];
        if (url !== undefined) found(url);
      });
    }
  });
  const timeout = new Promise<undefined>((expire) => {
    setTimeout(expire, START_TIMEOUT_MS, undefined).unref();
  });

  const url = await Promise.race([ready, ended.then(() => undefined), timeout]);
  if (url !== undefined) return { url, stop };
  await stop();
  throw new Error(`Postern did not start:\n${output}`);
}
