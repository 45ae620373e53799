/**
 * What `npm run deploy` and `npm run setup` say: a line per step, ✓ with what was found or done, ✗ with what is wrong and
 * what to do about it.
 */

/** A step that cannot be taken, and what whoever reads it can do; anything else that is thrown is a bug. */
export class StepFailure extends Error {
  readonly advice: string | null;

  constructor(message: string, advice: string | null = null) {
    super(message);
    this.advice = advice;
  }
}

/** Takes one step, prints what came of it, and says whether it went well. */
export async function step(name: string, body: () => string | Promise<string>): Promise<boolean> {
  try {
    const fact = await body();
    console.log(`✓ ${name}${fact === "" ? "" : `: ${indent(fact)}`}`);
    return true;
  } catch (error) {
    if (!(error instanceof StepFailure)) throw error;
    console.log(`✗ ${name}: ${indent(error.message)}`);
    if (error.advice !== null) console.log(`  → ${indent(error.advice)}`);
    return false;
  }
}

/** Takes steps until one fails; whether all went well. */
export async function steps(list: readonly (readonly [name: string, body: () => string | Promise<string>])[]) {
  for (const [name, body] of list) if (!(await step(name, body))) return false;
  return true;
}

/** What would be done: commands, each with its purpose. */
export function printPlan(title: string, plan: readonly (readonly [command: string, purpose: string])[]): void {
  console.log(`\n${title}\n`);
  for (const [command, purpose] of plan) console.log(`  ${command}\n      ${purpose}`);
}

function indent(text: string): string {
  return text.trim().replaceAll("\n", "\n    ");
}
