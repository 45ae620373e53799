-- Who may log in. Times are milliseconds since 1970, as everywhere in this database.
CREATE TABLE users (
  id            TEXT PRIMARY KEY,               -- UUIDv7
  username      TEXT NOT NULL,                  -- as it was entered
  username_key  TEXT NOT NULL UNIQUE,           -- NFKC and case-folded: what a login is looked up by
  password_hash TEXT NOT NULL,                  -- PHC string
  role          TEXT NOT NULL,
  status        TEXT NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'disabled')),
  revision      INTEGER NOT NULL DEFAULT 1,     -- grows with every change of password, role or status
  created_at    INTEGER NOT NULL,
  updated_at    INTEGER NOT NULL
) STRICT;
