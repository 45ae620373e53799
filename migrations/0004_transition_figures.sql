-- What clients did by which credential, summed up per day. Isolates add to it every few seconds.
CREATE TABLE transition_figures (
  day        TEXT NOT NULL,                     -- UTC, YYYY-MM-DD
  client     TEXT NOT NULL,                     -- family of the User-Agent
  credential TEXT NOT NULL CHECK (credential IN ('jwt', 'session')),
  event      TEXT NOT NULL CHECK (event IN ('login', 'exchange', 'request')),
  count      INTEGER NOT NULL,
  PRIMARY KEY (day, client, credential, event)
) STRICT, WITHOUT ROWID;
