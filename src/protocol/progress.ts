/** How far the stage under way is, as a migration counts it on either host. */
export interface StageProgress {
  readonly stage: 1 | 2 | 3;
  readonly pagesDone: number;
  readonly pagesTotal: number;
  /** Page bytes of the whole migration until now. */
  readonly bytes: number;
  readonly guestOpsPerSecond: number | null;
  readonly faults: number;
}
