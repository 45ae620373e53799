/**
 * `npm run rehearse`: test/rehearsal.test.ts, told as the story it is. Each stage says who worked by which credential,
 * who was signed out and what went wrong; ends with `N passed, N failed`.
 */
import { startVitest } from "vitest/node";

interface StageReport {
  readonly title: string;
  readonly from: number;
  readonly until: number;
  readonly jwt: number;
  readonly session: number;
  readonly signedOut: readonly string[];
  readonly errors: readonly string[];
}

const counts = { passed: 0, failed: 0 };

const list = (lines: readonly string[]): string => (lines.length === 0 ? "nobody" : [...new Set(lines)].join(", "));

function describeStage({ title, from, until, jwt, session, signedOut, errors }: StageReport): string {
  const share = (count: number): string => `${Math.round((100 * count) / Math.max(1, jwt + session))} %`;
  return [
    `day ${from} to ${until}: ${title}`,
    `  requests    ${jwt} by token (${share(jwt)}), ${session} by session (${share(session)})`,
    `  signed out  ${list(signedOut)}`,
    `  errors      ${errors.length === 0 ? "none" : errors.join(", ")}`,
  ].join("\n");
}

const vitest = await startVitest("test", ["test/rehearsal.test.ts"], {
  run: true,
  watch: false,
  project: ["workerd"],
  reporters: [
    {
      onTestCaseResult(test) {
        const { state, errors } = test.result();
        const { rehearsal } = test.meta() as { rehearsal?: StageReport };
        if (state === "passed") counts.passed += 1;
        else counts.failed += 1;
        console.log(`\n${state === "passed" ? "✓" : "✗"} ${test.name}`);
        if (rehearsal !== undefined) console.log(describeStage(rehearsal));
        for (const { message } of errors ?? []) console.log(`  ${message}`);
      },
    },
  ],
});
await vitest.close();

console.log(`\n${counts.passed} passed, ${counts.failed} failed`);
process.exitCode = counts.failed === 0 && counts.passed > 0 ? 0 : 1;
