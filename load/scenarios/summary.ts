// What k6 says at the end, left as JSON where the runner looks for it.

interface Summary {
  readonly metrics: Record<string, unknown>;
}

export function handleSummary({ metrics }: Summary): Record<string, string> {
  const path = __ENV["SUMMARY"];
  const text = JSON.stringify(metrics, null, 2);
  return path === undefined ? { stdout: text } : { [path]: text };
}
