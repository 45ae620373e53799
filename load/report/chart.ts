// Curves over seconds as SVG.

export interface Chart {
  readonly title: string;
  readonly curves: readonly { readonly name: string; readonly values: readonly (number | null)[] }[];
}

const WIDTH = 900;
const HEIGHT = 260;
const LEFT = 60;
const RIGHT = 10;
const TOP = 34;
const BOTTOM = 26;
const COLOURS = ["#0969da", "#bf8700", "#cf222e"];
const GRID_LINES = 4;

export function escapeText(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}

/** The next 1, 2 or 5 times a power of ten. */
export function roundUp(value: number): number {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return ([1, 2, 5].find((factor) => factor * power >= value) ?? 10) * power;
}

/** One curve, broken where there are no values. */
function path(values: readonly (number | null)[], x: (i: number) => number, y: (value: number) => number): string {
  let isDrawing = false;
  return values
    .map((value, i) => {
      if (value === null) {
        isDrawing = false;
        return "";
      }
      const command = isDrawing ? "L" : "M";
      isDrawing = true;
      return `${command}${x(i).toFixed(1)} ${y(value).toFixed(1)}`;
    })
    .join("");
}

export function renderChart({ title, curves }: Chart): string {
  const seconds = Math.max(1, ...curves.map(({ values }) => values.length));
  const top = roundUp(Math.max(0, ...curves.flatMap(({ values }) => values.map((value) => value ?? 0))));
  const x = (i: number): number => LEFT + (i / Math.max(1, seconds - 1)) * (WIDTH - LEFT - RIGHT);
  const y = (value: number): number => HEIGHT - BOTTOM - (value / top) * (HEIGHT - TOP - BOTTOM);
  const grid = Array.from({ length: GRID_LINES + 1 }, (_, i) => {
    const value = (top * i) / GRID_LINES;
    const at = y(value).toFixed(1);
    return `<path d="M${LEFT} ${at}H${WIDTH - RIGHT}" stroke="#d8dee4"/><text x="${LEFT - 6}" y="${at}" dy="4" text-anchor="end">${Number(value.toPrecision(3))}</text>`;
  });
  const drawn = curves.map(
    ({ values }, i) =>
      `<path d="${path(values, x, y)}" fill="none" stroke="${COLOURS[i] ?? "#57606a"}" stroke-width="1.5"/>`,
  );
  const legend = curves.map(
    ({ name }, i) =>
      `<text x="${WIDTH - RIGHT - (curves.length - i - 1) * 80}" y="16" text-anchor="end" fill="${COLOURS[i] ?? "#57606a"}">${escapeText(name)}</text>`,
  );
  return `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" font-family="system-ui, sans-serif" font-size="12" fill="#57606a">
<title>${escapeText(title)}</title>
<text x="${LEFT}" y="16" font-weight="600">${escapeText(title)}</text>
${[...grid, ...drawn, ...legend].join("\n")}
<text x="${LEFT}" y="${HEIGHT - 8}">0 s</text><text x="${WIDTH - RIGHT}" y="${HEIGHT - 8}" text-anchor="end">${seconds} s</text>
</svg>`;
}
