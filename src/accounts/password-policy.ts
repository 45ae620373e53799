/**
 * What a new password must be: long enough, and not one an attacker tries first. No composition rules, as NIST SP 800-63B-4
 * section 3.1.1.2 demands. Passwords are compared with the blocklist whole, so a common word inside a longer one is fine.
 * Not here: breach databases on the network, and any check of passwords that exist already.
 */
import { utf8 } from "../kit/encoding.ts";
import { isCommonPassword } from "./common-passwords.ts";

/** The least `minLength` that is honoured, in code points. */
export const PASSWORD_LENGTH_FLOOR = 8;

/** The longest password, in bytes of UTF-8 after NFC. */
export const PASSWORD_MAX_BYTES = 1024;

export interface PasswordContext {
  /** Least number of code points; anything below {@link PASSWORD_LENGTH_FLOOR} counts as that. */
  readonly minLength: number;
  readonly username: string;
  /** Host name of the service, as in `auth.example.com`. */
  readonly issuerHost: string;
}

// What a hand does on a keyboard instead of thinking, and what it counts.
const SEQUENCES = [
  "01234567890123456789",
  "abcdefghijklmnopqrstuvwxyzabc",
  "qwertyuiop",
  "qwertzuiop",
  "asdfghjkl",
  "zxcvbnm",
  "yxcvbnm",
  "azertyuiop",
  "qsdfghjklm",
  "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik,9ol.0p",
  "qazwsxedcrfvtgbyhnujmikolp",
  "1q2w3e4r5t6y7u8i9o0p",
  "q1w2e3r4t5y6u7i8o9p0",
].flatMap((run) => [run, reversed(run)]);

const RUN_MIN_CHARACTERS = 3;
const UNIT_MAX_CHARACTERS = 4;
const WORD_MIN_CHARACTERS = 3;
const LOOSE_MAX_CHARACTERS = 6;

function reversed(text: string): string {
  return [...text].toReversed().join("");
}

/** The form in which passwords are compared: the spelling, width and case of a character make no difference. */
function fold(text: string): string {
  return text.normalize("NFKC").toLowerCase().normalize("NFKC");
}

/** Length of the run that `text` has at `start`: one character repeated, or part of a sequence. */
function runLength(text: string, start: number): number {
  let longest = 1;
  while (text[start + longest] === text[start]) longest++;
  for (const sequence of SEQUENCES) {
    let length = longest + 1;
    while (start + length <= text.length && sequence.includes(text.slice(start, start + length))) longest = length++;
  }
  return longest;
}

/** `text` without its runs of three and more characters. */
function withoutRuns(text: string): string {
  let rest = "";
  for (let i = 0; i < text.length;) {
    const length = runLength(text, i);
    if (length < RUN_MIN_CHARACTERS) rest += text.slice(i, i + length);
    i += length;
  }
  return rest;
}

// Day and month in either order with the year at the end, or the year first.
const DATE =
  /^(?:(?:[0-2]?\d|3[01])(?:0?\d|1[0-2])|(?:0?\d|1[0-2])(?:[0-2]?\d|3[01]))(?:19|20)\d\d$|^(?:19|20)\d\d(?:0\d|1[0-2])(?:[0-2]\d|3[01])$/;

/** The shortest text of which `text` is a repetition: itself if it is none. */
function unitOf(text: string): string {
  return text.slice(0, (text + text).indexOf(text, 1));
}

/**
 * Whether a folded password is nothing but repetition (`aaaaaaaa`, `abc1abc1abc1`), sequences (`12345678`, `qwerasdf4321`) or
 * a date (`24121999`). The bundled list leaves out what this catches.
 */
export function isPredictable(folded: string): boolean {
  return [...unitOf(folded)].length <= UNIT_MAX_CHARACTERS || withoutRuns(folded) === "" || DATE.test(folded);
}

/** Name, mail address or host, whole and in its parts; the longest first, so that a part does not break up the whole. */
function wordsOf(...names: readonly string[]): string[] {
  const words = names.map(fold).flatMap((name) => [name, ...name.split(/[^\p{L}\p{M}\p{N}]+/u)]);
  return [...new Set(words)]
    .filter((word) => [...word].length >= WORD_MIN_CHARACTERS)
    .sort((a, b) => b.length - a.length);
}

/** Whether a folded password is `words` and at most a few characters, none of them letters, beside runs. */
function isDerivedFrom(words: readonly string[], folded: string): boolean {
  let rest = folded;
  for (const word of words) rest = rest.replaceAll(word, " ");
  if (rest === folded) return false;
  const loose = rest.split(" ").map(withoutRuns).join("");
  return [...loose].length <= LOOSE_MAX_CHARACTERS && !/[\p{L}\p{M}]/u.test(loose);
}

/**
 * Judges a new password.
 * @returns why it is refused, as a sentence for its owner that repeats none of it; null when it is good
 */
export function checkPassword(password: string, { minLength, username, issuerHost }: PasswordContext): string | null {
  if (!password.isWellFormed()) return "The password has characters that are not valid Unicode.";
  const normal = password.normalize("NFC");
  const least = Math.max(minLength, PASSWORD_LENGTH_FLOOR);
  if ([...normal].length < least) return `The password is shorter than ${least} characters.`;
  if (utf8(normal).byteLength > PASSWORD_MAX_BYTES) return `The password is longer than ${PASSWORD_MAX_BYTES} bytes.`;

  const folded = fold(password);
  if (isPredictable(folded)) return "The password is only a repetition, a sequence or a date.";
  if (isDerivedFrom(wordsOf(username), folded)) return "The password is made from the username.";
  // The last label of a host name (com, org) is nobody's word.
  const host = issuerHost.split(".").slice(0, -1).join(".") || issuerHost;
  if (isDerivedFrom([fold(issuerHost), ...wordsOf(host)], folded)) {
    return "The password is made from the name of this service.";
  }
  if (isCommonPassword(folded) || isCommonPassword(unitOf(folded))) {
    return "The password is one of the most common ones, which attackers try first.";
  }
  return null;
}
