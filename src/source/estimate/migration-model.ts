import type { WorkingSet } from "./working-set.js";

/** What a prediction is made from; see estimate.ts for how it is measured. */
export interface MigrationModel {
  readonly pageCount: number;
  /** Pages whose contents have to cross. */
  readonly contentPages: number;
  /** Bytes per second that page data gets. */
  readonly bytesPerSecond: number;
  readonly roundTripMs: number;
  readonly workingSet: WorkingSet;
  /** Of a page that is rewritten, the share of its blocks that changes; 1 where too few were seen to be. */
  readonly rewrittenShare: number;
}
