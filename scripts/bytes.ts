/**
 * `Uint8Array.fromBase64` and `fromHex` for Node 24, so that files of src/ that decode with them run here too. The Worker's
 * runtime has them, and Node from 25 on. Imported for its effect.
 */
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}(?:==)?|[A-Za-z0-9+/]{3}=?)?$/;
const HEX = /^(?:[0-9a-f]{2})*$/i;

/** Like the standard's, a decoder throws at the first character that does not belong. */
function decoder(encoding: "base64" | "hex", shape: RegExp) {
  return (text: string): Uint8Array => {
    if (!shape.test(text)) throw new SyntaxError(`not ${encoding}`);
    return new Uint8Array(Buffer.from(text, encoding));
  };
}

for (const [name, decode] of [
  ["fromBase64", decoder("base64", BASE64)],
  ["fromHex", decoder("hex", HEX)],
] as const) {
  if (!Object.hasOwn(Uint8Array, name)) Object.defineProperty(Uint8Array, name, { value: decode, configurable: true });
}
