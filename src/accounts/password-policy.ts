/** PROVISIONAL: being written. */
export interface PasswordContext {
  readonly minLength: number;
  readonly username: string;
  readonly issuerHost: string;
}
export function checkPassword(password: string, context: PasswordContext): string | null {
  const length = [...password.normalize("NFC")].length;
  return length >= context.minLength ? null : `It has ${length} characters; at least ${context.minLength} are needed.`;
}
