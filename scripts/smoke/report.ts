/**
 * What the smoke test says while it runs: a line per step with what was seen, and what was expected where that differs.
 */

/** How a step says what it saw. It fails when anything differs from what it should be, after all has been seen. */
export interface Expect {
  readonly equal: (what: string, seen: unknown, expected: unknown) => void;
  readonly true: (what: string, holds: boolean) => void;
}

/** Collects the results of the steps. */
export interface Report {
  /** Runs one step and prints its line. A step that throws has failed, and the next one runs all the same. */
  readonly step: (name: string, body: (expect: Expect) => Promise<void>) => Promise<void>;
  /** Prints the last line; whether all went well. */
  readonly finish: () => boolean;
}

function show(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

export function createReport(): Report {
  let passed = 0;
  let failed = 0;

  return {
    step: async (name, body) => {
      const facts: string[] = [];
      const faults: string[] = [];
      const note = (holds: boolean, fact: string, fault: string): void => {
        if (holds) facts.push(fact);
        else faults.push(fault);
      };
      try {
        await body({
          equal: (what, seen, expected) =>
            note(seen === expected, `${what} ${show(seen)}`, `expected ${what} ${show(expected)}, saw ${show(seen)}`),
          true: (what, holds) => note(holds, what, `expected ${what}, which was not so`),
        });
      } catch (error) {
        faults.push(error instanceof Error ? error.message : String(error));
      }
      if (faults.length === 0) {
        passed++;
        console.log(`✓ ${name}: ${facts.join(", ")}`);
      } else {
        failed++;
        console.log(`✗ ${name}: ${faults.join("; ")}`);
      }
    },

    finish: () => {
      console.log(`\n${passed} passed, ${failed} failed`);
      return failed === 0;
    },
  };
}
