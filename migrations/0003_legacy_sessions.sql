-- Cookie sessions: which cookie is whose. Whether one is still live is known to the user's session object alone, and so
-- is when it was used last; last_seen_at here is for the report, and up to an hour old.
CREATE TABLE legacy_sessions (
  id_hash      TEXT PRIMARY KEY,                -- SHA-256 of the cookie, hex
  session_id   TEXT NOT NULL UNIQUE,            -- its name in the user's session object
  user_id      TEXT NOT NULL,
  maker        TEXT NOT NULL CHECK (maker IN ('postern', 'application')),
  created_at   INTEGER NOT NULL,
  last_seen_at INTEGER NOT NULL,
  exchanged_at INTEGER,                         -- tokens were given for it; it stays usable, for the way back
  expires_at   INTEGER NOT NULL                 -- ends here in any case
) STRICT;

CREATE INDEX legacy_sessions_by_user ON legacy_sessions (user_id);
CREATE INDEX legacy_sessions_by_expiry ON legacy_sessions (expires_at);
