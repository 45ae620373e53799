// The lint rules, and above all the walls of the house: which floor may import which. CONTRIBUTING.md has the map,
// test/node/walls.test.ts plants a violation of each wall and sees it refused.
import { defineConfig } from "oxlint";

type Wall = { regex: string; message: string };

const CAPABILITIES = ["accounts", "tokens", "sessions", "limits", "origin", "transition", "audit"];

const noPlatform: Wall = {
  regex: "^(cloudflare:|node:)",
  message: "Only services.ts and the object shells touch the platform.",
};
const noHono: Wall = { regex: "^hono(/|$)", message: "HTTP outward is the business of the doors." };

/** What kit/ may not import. */
const kitWalls: Wall[] = [
  { regex: "^\\.\\./", message: "kit/ is the ground floor: it imports nothing of the house." },
  noHono,
  noPlatform,
];

/** What a capability may not import. */
const capabilityWalls: Wall[] = [
  // Spelled out, since the engine knows no lookahead to say "anything but kit/".
  {
    regex: `^\\.\\./(app|index|services)\\.ts$|^\\.\\./(doors|${CAPABILITIES.join("|")})/|^\\.\\./\\.\\./`,
    message: "A capability imports kit/ only: not up, not sideways.",
  },
  noHono,
];

/** What a door may not import. */
const doorWalls: Wall[] = [
  { regex: "^\\.\\./(app|index|services)\\.ts$", message: "A door is handed what it needs; it does not reach up." },
  { regex: "/object\\.ts$", message: "A door talks to the typed client, never to a Durable Object." },
  { regex: "^jose$|^@phi-ag/", message: "No cryptography in a door." },
  noPlatform,
];

const restrict = (files: string[], patterns: Wall[]) => ({
  files,
  rules: { "no-restricted-imports": ["error", { patterns }] as ["error", { patterns: Wall[] }] },
});

const inCapabilities = (name: string) => CAPABILITIES.map((capability) => `src/${capability}/${name}`);

export default defineConfig({
  plugins: ["typescript", "import", "unicorn", "oxc", "promise", "vitest"],
  categories: { correctness: "error", suspicious: "error", perf: "error" },
  options: { typeAware: true },
  ignorePatterns: ["worker-configuration.d.ts", "coverage", "dist", ".wrangler"],
  rules: {
    "typescript/no-explicit-any": "error",
    "typescript/no-floating-promises": "error",
    "typescript/switch-exhaustiveness-check": ["error", { considerDefaultExhaustiveForUnions: true }],
    "typescript/ban-ts-comment": "error",
    "typescript/consistent-type-imports": "error",
    "import/no-cycle": "error",
    "import/no-unassigned-import": "off",
    "no-await-in-loop": "off",
    "unicorn/no-array-sort": "off",
    "unicorn/consistent-function-scoping": "off",
    "typescript/no-unsafe-type-assertion": "off",
    "no-shadow": "off",
    // Code points are what is wanted wherever a string is spread here.
    "typescript/no-misused-spread": ["error", { allow: ["string"] }],
    "oxc/no-map-spread": "off",
    "vitest/require-to-throw-message": "off",
    "promise/no-promise-in-callback": "off",
    "vitest/no-conditional-expect": "off",
    // Properties are tests too, by another function than vitest's.
    "vitest/no-standalone-expect": "off",
    "no-underscore-dangle": "off",
    // tsc says it better: noImplicitReturns.
    "typescript/consistent-return": "off",
    eqeqeq: "error",
    "prefer-const": "error",
    "no-var": "error",
  },
  overrides: [
    {
      files: ["src/**"],
      rules: {
        "no-console": "error",
        "no-restricted-properties": [
          "error",
          {
            object: "Date",
            property: "now",
            message: "Time is an argument; services.ts and the object shells read it.",
          },
          { object: "Math", property: "random", message: "Randomness is an argument." },
          { object: "crypto", property: "getRandomValues", message: "Randomness is an argument." },
          { object: "crypto", property: "randomUUID", message: "Randomness is an argument." },
        ],
      },
    },
    { files: ["src/kit/log.ts"], rules: { "no-console": "off" } },
    { files: ["src/services.ts", ...inCapabilities("object.ts")], rules: { "no-restricted-properties": "off" } },
    restrict(["src/kit/**"], kitWalls),
    // The asynchronous context is the runtime's, and no part of the environment.
    restrict(
      ["src/kit/meter.ts"],
      kitWalls.filter((wall) => wall !== noPlatform),
    ),
    restrict(inCapabilities("**"), [...capabilityWalls, noPlatform]),
    restrict(inCapabilities("object.ts"), capabilityWalls),
    restrict(["src/doors/**"], doorWalls),
    restrict(
      ["src/services.ts"],
      [
        {
          regex: "^\\./(doors/|app\\.ts|index\\.ts)",
          message: "services.ts composes capabilities; doors are above it.",
        },
      ],
    ),
    restrict(["src/app.ts"], [{ regex: "^\\./index\\.ts$", message: "index.ts is the roof." }, noPlatform]),
  ],
});
