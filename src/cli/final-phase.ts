import type { PhaseEvent, PhaseName } from "../host/events.js";

const FINAL_PHASES: ReadonlySet<PhaseName> = new Set(["ended", "stranded"]);

/**
 * Whether nothing more happens after this phase. Around it come a report, and on the destination an error
 * where there is no report.
 */
export function isFinal({ phase }: PhaseEvent): boolean {
  return FINAL_PHASES.has(phase);
}
