/**
 * Bounds the wait for something that may hang instead of failing. It does not end the work: an answer that comes late is
 * ignored, so only idempotent calls belong here.
 */

/** As `work`, but rejects when that takes more than `limitMs` milliseconds. */
export async function withinTimeLimit<T>(work: Promise<T>, limitMs: number): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${limitMs} ms`)), limitMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
