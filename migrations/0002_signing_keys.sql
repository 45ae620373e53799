-- Keys that sign access tokens. Each succeeds exactly one other ('' for the first), so two isolates that mint at the
-- same moment get one key. A key's state is not stored: it follows from these times (src/tokens/key-states.ts).
CREATE TABLE signing_keys (
  kid          TEXT PRIMARY KEY,                -- RFC 7638 thumbprint of the public key
  predecessor  TEXT NOT NULL UNIQUE,
  alg          TEXT NOT NULL,
  public_jwk   TEXT NOT NULL,                   -- JSON
  private_key  BLOB NOT NULL,                   -- AES-GCM under a key derived from AUTH_SECRET: 12 bytes IV, ciphertext of the PKCS#8
  created_at   INTEGER NOT NULL,                -- published in the JWKS from here on
  active_at    INTEGER NOT NULL,                -- signs from here on, until its successor does
  withdrawn_at INTEGER                          -- compromised: neither published nor accepted from here on
) STRICT;
