/**
 * Usernames: what one may look like, and the key under which two spellings are the same name.
 */

export const USERNAME_MAX_CHARACTERS = 128;

/** Whether `username` may be registered: no control characters, no lone surrogates, no blanks at the ends. */
export function isUsername(username: string): boolean {
  return (
    username.isWellFormed() &&
    username.length <= USERNAME_MAX_CHARACTERS &&
    /^[^\s\p{C}](?:[^\p{C}]*[^\s\p{C}])?$/u.test(username)
  );
}

/**
 * NFKC, then case-folded (by way of upper case, which unfolds ß and its like as Unicode's full folding does), then NFKC
 * again since folding can leave a composable sequence.
 */
export function usernameKey(username: string): string {
  return username.normalize("NFKC").toUpperCase().toLowerCase().normalize("NFKC");
}
