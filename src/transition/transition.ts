/**
 * The way out of cookie sessions, as the doors see it: one object with its parts. Only there when sessions are accepted
 * or were until a date; a Postern that never had any does not pay for it.
 */
import type { Runtime } from "../kit/runtime.ts";
import type { TransitionConfig } from "../kit/transition-config.ts";
import { createExistingSessions, type ExistingSessions, type ExistingSources } from "./existing-sessions.ts";
import { createFigures, type Figures } from "./figures.ts";
import { createLegacySessions, type LegacySessions } from "./legacy-sessions.ts";
import { createReport, type Report } from "./report.ts";
import { createRollout, type RolloutUser } from "./rollout.ts";
import { isPast } from "./sunset.ts";

export interface Transition {
  readonly config: TransitionConfig;
  readonly legacy: LegacySessions;
  /** Null: the existing application is not asked. */
  readonly existing: ExistingSessions | null;
  readonly figures: Figures;
  readonly report: Report;
  /** Whether the sunset has passed. */
  readonly isOver: () => boolean;
  /** Whether a login or exchange of this user gives tokens; everybody's does where sessions are not accepted. */
  readonly givesTokens: (user: RolloutUser) => Promise<boolean>;
}

/** @param sources null when there is no `SESSION_VERIFY_URL` */
export function createTransition(
  config: TransitionConfig,
  database: D1Database,
  sources: ExistingSources | null,
  leaseMs: number,
  runtime: Runtime,
): Transition {
  const isIn = createRollout(config.rollout);
  const isOver = (): boolean => isPast(config, runtime.now());
  const report = createReport(database, config.idleSeconds * 1000, runtime);
  return {
    config,
    legacy: createLegacySessions(database, config.maxSeconds * 1000, runtime),
    existing: sources && createExistingSessions(sources, leaseMs, runtime),
    figures: createFigures((...batch) => report.add(...batch), config.flushSeconds * 1000, runtime),
    report,
    isOver,
    givesTokens: async (user) => isOver() || isIn(user),
  };
}
