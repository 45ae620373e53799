/**
 * What `npm run users -- --help` says.
 */
export const HELP = `Usage: npm run users -- COMMAND [options]

  create NAME                 a new user; asks for the password
  list                        users by name, tab-separated (--json: one object a line)
  set-role NAME ROLE
  set-password NAME           asks for the password
  disable NAME | enable NAME
  import FILE                 FILE.csv (with a header) or FILE.jsonl
  export [FILE]               to FILE.csv or FILE.jsonl; without one, JSON lines to the standard output

Which database
  --persist-to DIR            the local one in DIR, as in npm run dev (default: .wrangler/state)
  --remote                    the deployed one, through wrangler and its login
  --env NAME                  with --remote: the environment in wrangler.toml

Options
  --role ROLE                 create, import: role of new users (default: user); list: only these
  --status active|disabled    list: only these
  --query TEXT                list: only names that contain it
  --json                      list: JSON lines
  --password-stdin            create, set-password: the first line of the standard input is the password
  --allow-weak                create, set-password, local only: do without the password policy
  --dry-run                   import: judge the file, change nothing

Files
  Fields: username and password_hash; optional role, status (active, disabled), id (a UUID), created_at (ISO 8601 or
  milliseconds). Others are ignored. Hashes: Argon2, bcrypt, Werkzeug scrypt: and pbkdf2:, Django pbkdf2_sha256,
  pbkdf2_sha1, scrypt, argon2, bcrypt, bcrypt_sha256; docs/security/passwords.md has the bounds. Passwords in plain text
  are never taken. A name that exists is left as it is, so an import can be repeated, and is resumed by repeating it.
  Rejected records go to FILE.rejected.jsonl with line and reason, and the exit status is 2. An export holds password
  hashes: keep it as you would keep the database.

Sessions
  A change made here takes effect at the next login. A session that is open keeps the role it has, and goes on after
  disable and set-password, until it ends by itself: to reach open sessions at once use the admin API
  (PATCH /admin/users/{id}, DELETE /admin/users/{id}/sessions).
`;
