import type { BenchFlags } from "./flags.ts";
export function measureGrowth(_flags: BenchFlags): Promise<Record<string, never>> { return Promise.resolve({}); }
