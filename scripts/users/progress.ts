/**
 * One line that says how far something is; only ever on a terminal.
 */
export interface Progress {
  /** @param share from 0 to 1 */
  show(share: number, text: string): void;
  end(): void;
}

export const silent: Progress = { show: () => {}, end: () => {} };

const BAR_CHARACTERS = 24;

/** A bar on `terminal`, or nothing when that is a file or a pipe. */
export function progressOn(terminal: NodeJS.WriteStream): Progress {
  if (!terminal.isTTY) return silent;
  let shown = false;
  return {
    show(share, text) {
      const filled = Math.round(Math.min(share, 1) * BAR_CHARACTERS);
      const percent = `${Math.round(Math.min(share, 1) * 100)} %`.padStart(5);
      const line = `[${"#".repeat(filled).padEnd(BAR_CHARACTERS)}] ${percent}  ${text}`;
      terminal.write(`\r\x1b[K${line.slice(0, Math.max(terminal.columns - 1, 20))}`);
      shown = true;
    },
    end() {
      if (shown) terminal.write("\n");
    },
  };
}
