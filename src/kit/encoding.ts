/**
 * Bytes to text and back: base64url in its one canonical spelling, hex, UTF-8, UUIDs as 16 bytes. No cryptography.
 */
const encoder = new TextEncoder();

export function utf8(text: string): Uint8Array<ArrayBuffer> {
  return encoder.encode(text) as Uint8Array<ArrayBuffer>;
}

/** base64url without padding (RFC 4648 section 5). */
export function toBase64Url(bytes: Uint8Array): string {
  return bytes.toBase64({ alphabet: "base64url", omitPadding: true });
}

/** Decodes base64url; null unless `text` is exactly what {@link toBase64Url} would write for the result. */
export function fromBase64Url(text: string): Uint8Array<ArrayBuffer> | null {
  try {
    const bytes = Uint8Array.fromBase64(text, { alphabet: "base64url", lastChunkHandling: "loose" });
    return toBase64Url(bytes) === text ? bytes : null;
  } catch {
    return null;
  }
}

export function toHex(bytes: Uint8Array): string {
  return bytes.toHex();
}

/** 16 bytes as the 8-4-4-4-12 form of RFC 9562 section 4. */
export function toUuid(bytes: Uint8Array): string {
  const hex = bytes.toHex();
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

export function isUuid(text: string): boolean {
  return UUID.test(text);
}

/** The 16 bytes of a lower-case UUID; the caller has checked {@link isUuid}. */
export function fromUuid(uuid: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.fromHex(uuid.replaceAll("-", ""));
}

/**
 * A UUIDv7 (RFC 9562 section 5.7): sorts by creation time, 74 random bits.
 * @param now milliseconds since 1970
 * @param random at least 10 random bytes
 */
export function uuidV7(now: number, random: Uint8Array): string {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, Math.floor(now / 2 ** 32));
  view.setUint32(2, now >>> 0);
  bytes.set(random.subarray(0, 10), 6);
  view.setUint8(6, (view.getUint8(6) & 0x0f) | 0x70);
  view.setUint8(8, (view.getUint8(8) & 0x3f) | 0x80);
  return toUuid(bytes);
}
