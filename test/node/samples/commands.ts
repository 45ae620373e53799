// What shell samples call that is ours or wrangler's: scripts of package.json with their flags, subcommands of wrangler,
// programs of node_modules. For samples that are not run; none of it is run here but `wrangler --help`.
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "./markdown.ts";

const { scripts } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { scripts: Record<string, string> };

/** The source of what `npm run name` starts, and of the folder of the same name. */
function sourceOf(name: string): string {
  const [, file] = /node (\S+)\.ts/.exec(scripts[name] ?? "") ?? [];
  if (file === undefined) return "";
  const folder = join(ROOT, file);
  const neighbours = existsSync(folder) ? readdirSync(folder).map((entry) => join(folder, entry)) : [];
  const sources = [`${folder}.ts`, ...neighbours.filter((entry) => entry.endsWith(".ts"))];
  return sources.map((path) => readFileSync(path, "utf8")).join("\n");
}

let help: string | undefined;
const wranglerHelp = (): string =>
  (help ??= execFileSync(process.execPath, [join(ROOT, "node_modules/wrangler/bin/wrangler.js"), "--help"], {
    encoding: "utf8",
    env: { ...process.env, WRANGLER_SEND_METRICS: "false", NO_COLOR: "1", FORCE_COLOR: "0" },
  }));

/** Flags that wrangler takes over from `npm run dev`, which hands on what it does not know. */
const HANDED_ON = new Set(["var", "port", "persist-to", "ip"]);

function faultOfScript(name: string, args: string): string[] {
  if (scripts[name] === undefined) return [`there is no npm run ${name}`];
  if (args === "") return [];
  const source = sourceOf(name);
  const flags = [...args.matchAll(/(?<=\s)--([a-z][a-z-]*)/g)].map(([, flag = ""]) => flag);
  const known = (flag: string): boolean =>
    source.includes(`--${flag}`) ||
    new RegExp(String.raw`(?<![\w-])"?${flag}"?: \{`).test(source) ||
    new RegExp(String.raw`"${flag}"`).test(source) ||
    (name === "dev" && HANDED_ON.has(flag));
  return flags.filter((flag) => !known(flag)).map((flag) => `npm run ${name} knows no --${flag}`);
}

/** Calls in `text` that would fail: unknown scripts, flags and subcommands. */
export function unknownCommands(text: string): string[] {
  const lines = text.replaceAll("\\\n", " ").split("\n");
  return lines.flatMap((line) => {
    const command = line.replace(/(^|\s)#.*$/, "");
    const ours = [...command.matchAll(/\bnpm run ([\w:-]+)(?: --( [^|&;`]*))?/g)];
    const tools = [...command.matchAll(/\bnpx (\w+)(?: ([\w:-]+))?/g)];
    return [
      ...ours.flatMap(([, name = "", args = ""]) => faultOfScript(name, args)),
      ...tools.flatMap(([, tool = "", sub = ""]) => {
        if (!existsSync(join(ROOT, "node_modules/.bin", tool))) return [`there is no ${tool}`];
        const isKnown = tool !== "wrangler" || new RegExp(String.raw`^\s*wrangler ${sub}\b`, "m").test(wranglerHelp());
        return isKnown ? [] : [`there is no wrangler ${sub}`];
      }),
    ];
  });
}
