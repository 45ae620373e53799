/**
 * Reads a JSON request body: media type, size and shape checked before a door sees it. Never trusts Content-Length.
 */
import type * as z from "zod/mini";
import { fail, ok, type Result } from "./result.ts";

/** The largest JSON body any endpoint reads. */
export const BODY_LIMIT_BYTES = 16 * 1024;

async function readLimited(stream: ReadableStream<Uint8Array>): Promise<Uint8Array | null> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of stream) {
    size += chunk.byteLength;
    if (size > BODY_LIMIT_BYTES) return null;
    chunks.push(chunk);
  }
  const body = new Uint8Array(size);
  let offset = 0;
  for (const chunk of chunks) {
    body.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return body;
}

/** The body, or null if it is too large. A client that leaves in the middle of it is no bug of ours. */
async function readAll({ body }: Request): Promise<Result<Uint8Array | null>> {
  try {
    return ok(body === null ? new Uint8Array() : await readLimited(body));
  } catch {
    return fail({ code: "invalid_request", detail: "The body broke off." });
  }
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function parse(bytes: Uint8Array): Result<unknown> {
  try {
    const value: unknown = JSON.parse(decoder.decode(bytes));
    return ok(value);
  } catch {
    return fail({ code: "invalid_request", detail: "The body is not valid JSON in UTF-8." });
  }
}

/** Whether a request brings a body at all, for endpoints where it may be left out. */
export function hasBody(request: Request): boolean {
  return request.body !== null && request.headers.get("Content-Length") !== "0";
}

/** Whether a Content-Type value names JSON in UTF-8, parameters allowed. */
function isJson(contentType: string | null): boolean {
  return contentType !== null && /^application\/json\s*(;\s*charset="?utf-8"?\s*)?$/i.test(contentType);
}

/**
 * The body of `request` as `schema` describes it; unknown fields are dropped.
 * Fails with `unsupported_media_type`, `payload_too_large` or `invalid_request` (which names every fault by its path).
 */
export async function readJson<T>(request: Request, schema: z.ZodMiniType<T>): Promise<Result<T>> {
  if (!isJson(request.headers.get("Content-Type"))) return fail({ code: "unsupported_media_type" });
  const read = await readAll(request);
  if (!read.ok) return read;
  const bytes = read.value;
  if (bytes === null) return fail({ code: "payload_too_large", limitBytes: BODY_LIMIT_BYTES });
  const json = parse(bytes);
  if (!json.ok) return json;
  const parsed = schema.safeParse(json.value);
  if (parsed.success) return ok(parsed.data);
  return fail({
    code: "invalid_request",
    detail: "The body does not have the shape this endpoint takes.",
    errors: parsed.error.issues.map((issue) => ({ path: issue.path.map(String).join("."), message: issue.message })),
  });
}
