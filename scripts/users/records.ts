/**
 * Files of users, read as a stream: CSV (RFC 4180, with a header line) and JSON Lines. Yields one record after the other
 * with the line it starts on; what a record must contain is import.ts.
 */
import { createReadStream } from "node:fs";

/** A record by field name, or what is wrong with it. */
export type FileRecord =
  | { readonly line: number; readonly fields: Readonly<Record<string, unknown>> }
  | { readonly line: number; readonly fault: string };

/** A longer record means a quote that was never closed, not a user. */
const RECORD_MAX_CHARACTERS = 65_536;

async function* textOf(path: string, onBytes: (bytes: number) => void): AsyncGenerator<string> {
  // Without `fatal` a file in another encoding would turn names into question marks, silently.
  const decoder = new TextDecoder("utf-8", { fatal: true });
  try {
    for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
      yield decoder.decode(chunk, { stream: true });
      onBytes(chunk.byteLength);
    }
    yield decoder.decode();
  } catch (error) {
    if (error instanceof TypeError) throw new Error(`${path} is not UTF-8`, { cause: error });
    throw error;
  }
}

/** The rows of a CSV text that comes in pieces; blank lines are no rows. */
export async function* csvRows(chunks: AsyncIterable<string>): AsyncGenerator<{ line: number; values: string[] }> {
  let line = 1;
  let startLine = 1;
  let values: string[] = [];
  let value = "";
  let size = 0;
  let quoted = false;
  // Just after a quote inside a quoted value: the end of it, or the first half of a doubled one.
  let afterQuote = false;

  for await (const chunk of chunks) {
    for (const character of chunk) {
      if (++size > RECORD_MAX_CHARACTERS) throw new Error(`line ${startLine}: the record has no end; is a quote open?`);
      if (character === "\n") line++;
      if (quoted && afterQuote && character !== '"') {
        quoted = false;
        afterQuote = false;
      }
      if (quoted) {
        if (character !== '"') value += character;
        else if (afterQuote) {
          value += '"';
          afterQuote = false;
        } else afterQuote = true;
      } else if (character === '"' && value === "") {
        quoted = true;
      } else if (character === ",") {
        values.push(value);
        value = "";
      } else if (character === "\n") {
        values.push(value.endsWith("\r") ? value.slice(0, -1) : value);
        if (values.length > 1 || values[0] !== "") yield { line: startLine, values };
        values = [];
        value = "";
        size = 0;
        startLine = line;
      } else {
        value += character;
      }
    }
  }
  if (quoted && !afterQuote) throw new Error(`line ${startLine}: a quote is never closed`);
  if (value !== "" || values.length > 0) yield { line: startLine, values: [...values, value] };
}

async function* csvRecords(chunks: AsyncIterable<string>, checkHeader: (names: string[]) => void) {
  let names: string[] | undefined;
  for await (const { line, values } of csvRows(chunks)) {
    if (names === undefined) {
      names = values.map((name) => name.trim());
      checkHeader(names);
    } else if (values.length === names.length) {
      // An empty cell is an absent field: CSV cannot tell them apart.
      const filled = names.map((name, i) => [name, values[i]]).filter(([, value]) => value !== "");
      yield { line, fields: Object.fromEntries(filled) as Record<string, unknown> };
    } else {
      yield { line, fault: `has ${values.length} fields where the header has ${names.length}` };
    }
  }
}

async function* lines(chunks: AsyncIterable<string>): AsyncGenerator<string> {
  let rest = "";
  for await (const chunk of chunks) {
    const parts = (rest + chunk).split("\n");
    rest = parts.pop() ?? "";
    yield* parts;
  }
  yield rest;
}

function parseObject(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : null;
  } catch {
    return null;
  }
}

async function* jsonRecords(chunks: AsyncIterable<string>): AsyncGenerator<FileRecord> {
  let line = 0;
  for await (const text of lines(chunks)) {
    line++;
    if (text.trim() === "") continue;
    const fields = parseObject(text);
    yield fields === null ? { line, fault: "is not a JSON object" } : { line, fields };
  }
}

/**
 * The records of a file, whose name ends in .csv or .jsonl.
 * @param checkHeader throws when the column names of a CSV file will not do
 * @param onBytes is told of every piece that has been read
 */
export function readRecords(
  path: string,
  checkHeader: (names: string[]) => void,
  onBytes: (bytes: number) => void,
): AsyncGenerator<FileRecord> {
  if (/\.csv$/i.test(path)) return csvRecords(textOf(path, onBytes), checkHeader);
  if (/\.jsonl$/i.test(path)) return jsonRecords(textOf(path, onBytes));
  throw new Error(`${path}: only .csv and .jsonl can be read`);
}
