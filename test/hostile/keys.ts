// The Worker's own signing key, so that a test can sign what the Worker never would.
import { env } from "cloudflare:workers";
import { keysFor } from "../../src/kit/secrets.ts";
import { runtime } from "../../src/services.ts";
import { createKeyStore } from "../../src/tokens/key-store.ts";

export async function ownSigningKey(): Promise<{ readonly kid: string; readonly privateKey: CryptoKey }> {
  const secrets = { current: Uint8Array.fromBase64(env.AUTH_SECRET), previous: null };
  const store = createKeyStore(env.DB, keysFor(secrets, "signing-key-at-rest", "aes-gcm"), 2048, runtime);
  const stored = await store.readAll();
  const [key] = stored.ok ? stored.value : [];
  const privateKey = key === undefined ? null : await store.open(key);
  if (key === undefined || privateKey === null) throw new Error("no signing key");
  return { kid: key.kid, privateKey };
}
