-- What happened, for whoever has to find out later. Append-only; rows older than AUDIT_DAYS are deleted by the cron.
-- Times are milliseconds since 1970. No token, no secret, no password, no full address.
CREATE TABLE audit_events (
  id         TEXT PRIMARY KEY,                  -- UUIDv7: sorts by time
  at         INTEGER NOT NULL,
  event      TEXT NOT NULL,
  user_id    TEXT,                              -- whom it concerns
  actor_id   TEXT,                              -- who did it, when that is somebody else
  session_id TEXT,
  address    TEXT,                              -- prefix: an IPv4 address or an IPv6 /64
  request_id TEXT NOT NULL,
  detail     TEXT NOT NULL                      -- JSON
) STRICT;
CREATE INDEX audit_events_by_user ON audit_events (user_id, id);
CREATE INDEX audit_events_by_event ON audit_events (event, id);
