/**
 * Questions on the terminal.
 */
import { createInterface } from "node:readline/promises";
import { Writable } from "node:stream";
import { text } from "node:stream/consumers";

/** Asks; of a hidden answer nothing is shown. */
export async function ask(question: string, hidden = false): Promise<string> {
  process.stderr.write(question);
  const mute = new Writable({ write: (_chunk, _encoding, done) => done() });
  const terminal = createInterface({ input: process.stdin, output: hidden ? mute : process.stderr, terminal: true });
  try {
    return await terminal.question("");
  } finally {
    terminal.close();
    if (hidden) process.stderr.write("\n");
  }
}

/** The first line of the standard input. */
export async function firstLine(): Promise<string> {
  return (await text(process.stdin)).split(/\r?\n/, 1)[0] ?? "";
}
