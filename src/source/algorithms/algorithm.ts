import type { Algorithm, Choice, StopReason } from "../../protocol/report.js";

/**
 * An algorithm is a policy over the one engine: it is told what has come of each pass, and answers
 * two questions. Does another pass follow before the guest stops? And may pages remain when it is
 * handed over? Policies are pure: what they have to remember stands in the facts.
 */
export interface Policy {
  /** What the report calls the migration, unless `ending` chooses otherwise. */
  readonly algorithm: Algorithm;
  readonly opening: Opening;
  /** Whether pages may remain when the guest is handed over; false where `ending` never says "after". */
  readonly mayLeavePages: boolean;
  afterPass(facts: PassFacts): Verdict;
  /** The guest stands still. */
  ending(facts: StopFacts): Ending;
}

/** What is sent first, while the guest runs. */
export type Opening =
  /** Nothing: the guest stops at once. */
  | "nothing"
  /** Only word of the pages that nobody has ever written: they are zero on both sides. */
  | "never-written"
  /** All pages, save those that the guest is rewriting: see pass.ts. */
  | "all-but-hot"
  /** All pages, save those that the guest has written since the round began: see round.ts. */
  | "all";

/**
 * What has come of a pass while the guest ran. Pages count as sent whether with contents or as
 * zero.
 */
export interface PassFacts {
  /** Of this pass, from 1 on. */
  readonly pass: number;
  readonly pagesSent: number;
  readonly pagesSkipped: number;
  /** In the pass before this one; before the first, all pages of the guest. */
  readonly pagesSentBefore: number;
  /** In all passes until now. */
  readonly pagesSentInAll: number;
  /** That the destination lacks now. */
  readonly dirtyPages: number;
  /** That the destination lacked before this pass. */
  readonly dirtyPagesBefore: number;
  readonly totalPages: number;
  readonly durationMs: number;
  /** Since the migration began. */
  readonly elapsedMs: number;
  /** What the passes have measured; null while no page had contents. */
  readonly bytesPerSecond: number | null;
  /** The shortest that was seen to the destination. */
  readonly roundTripMs: number;
  /** What was taken from the guest during this pass. */
  readonly throttlePercent: number;
}

export type Verdict =
  | { readonly then: "pass"; readonly throttlePercent: number }
  | { readonly then: "stop"; readonly reason: StopReason | null };

/** What is known when the guest stands still. */
export interface StopFacts {
  /** Why it was stopped. */
  readonly reason: StopReason | null;
  /** What `afterPass` was told last; null where no pass was made. */
  readonly lastPass: PassFacts | null;
  /** Since the migration began. */
  readonly elapsedMs: number;
  readonly bytesPerSecond: number | null;
  readonly roundTripMs: number;
  /**
   * Counts the pages that the destination lacks, exactly. The guest stands still while it counts.
   */
  dirtyPages(): number;
}

export interface Ending {
  /** Whether the rest is sent before the guest is handed over, or after. */
  readonly rest: "before" | "after";
  readonly choice: Choice | null;
}

/** Milliseconds that so many pages take; infinite while nobody has measured. */
export function sendingMs(pages: number, bytesPerSecond: number | null, pageBytes: number): number {
  if (pages === 0) return 0;
  return bytesPerSecond === null ? Infinity : (pages * pageBytes * 1000) / bytesPerSecond;
}
