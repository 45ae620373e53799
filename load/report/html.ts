// A run as one HTML file that needs no other: curves as SVG, the tables, and what it was measured on.
import { machineLine } from "../bench/machine.ts";
import { type Chart, escapeText, renderChart } from "./chart.ts";
import { mebibytes, type Result } from "./result.ts";
import { remarksOf, rowsOf } from "./table.ts";

const STYLE = `
  body { font: 15px/1.5 system-ui, sans-serif; max-width: 960px; margin: 2rem auto; padding: 0 1rem; color: #1b1f24; background: #fff; }
  svg { width: 100%; height: auto; margin: 0 0 1rem; }
  table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
  th, td { padding: 0.15rem 0.7rem; text-align: right; border-bottom: 1px solid #d8dee4; }
  th:nth-child(-n + 2), td:nth-child(-n + 2) { text-align: left; }
  .failed { color: #b42318; }`;

const HEADINGS = ["phase", "operation", "count", "errors", "per s", "mean ms", "p50", "p95", "p99", "max"];

function chartsOf({ series }: Result): Chart[] {
  const pick = (of: (second: Result["series"][number]) => number | null): (number | null)[] => series.map(of);
  return [
    {
      title: "Latency, ms",
      curves: [
        { name: "p50", values: pick(({ p50Ms }) => p50Ms) },
        { name: "p95", values: pick(({ p95Ms }) => p95Ms) },
        { name: "p99", values: pick(({ p99Ms }) => p99Ms) },
      ],
    },
    {
      title: "Answers and errors per second",
      curves: [
        { name: "answers", values: pick(({ perSecond }) => perSecond) },
        { name: "errors", values: pick(({ errors }) => errors) },
      ],
    },
    {
      title: "Resident memory of workerd, MiB",
      curves: [{ name: "RSS", values: pick(({ rssBytes }) => (rssBytes === null ? null : mebibytes(rssBytes))) }],
    },
  ];
}

function row(tag: "th" | "td", cells: readonly string[]): string {
  return `<tr>${cells.map((text) => `<${tag}>${escapeText(text)}</${tag}>`).join("")}</tr>`;
}

function settings(record: Readonly<Record<string, string | number>>): string {
  const pairs = Object.entries(record).map(([name, value]) => `${name} ${value}`);
  return pairs.length === 0 ? "defaults" : pairs.join(", ");
}

export function renderHtml(result: Result): string {
  const title = escapeText(`Postern under load: ${result.preset}`);
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>${title}</title>
<style>${STYLE}</style>
<h1>${title}</h1>
<p>${escapeText(result.startedAt)}, by ${result.engine === "k6" ? "k6" : "Postern's own generator"}: ${escapeText(settings(result.parameters))}.
Variables: ${escapeText(settings(result.variables))}.<br>${escapeText(machineLine(result.machine))}</p>
<ul>
${remarksOf(result)
  .map((line) => `<li${/^(?:✗|FAILED|fault)/.test(line) ? ' class="failed"' : ""}>${escapeText(line)}</li>`)
  .join("\n")}
</ul>
${chartsOf(result).map(renderChart).join("\n")}
<table>
${row("th", HEADINGS)}
${rowsOf(result)
  .map((cells) => row("td", cells))
  .join("\n")}
</table>
</html>
`;
}
