// Baseline of a refresh: one RS256 signature over as many bytes as an access token has.
const ALGORITHM = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };
const KEY = { ...ALGORITHM, modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]) };
const SIGNED_BYTES = 450;

const payload = new Uint8Array(SIGNED_BYTES).fill(0x61);
let key: CryptoKey | undefined;

export default {
  async fetch(): Promise<Response> {
    key ??= (await crypto.subtle.generateKey(KEY, false, ["sign", "verify"])).privateKey;
    const signature = await crypto.subtle.sign(ALGORITHM, key, payload);
    return Response.json({ access_token: btoa(String.fromCharCode(...new Uint8Array(signature))) });
  },
};
