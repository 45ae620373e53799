/**
 * The digest by which the list of common passwords knows its entries. Not cryptography: the entries are public, and the
 * digest only has to spread them evenly.
 */

/** 32 bits of `text`: FNV-1a over its UTF-16 units, then MurmurHash3's finaliser. */
export function passwordDigest(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
