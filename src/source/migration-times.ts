/** What happened when, by the source's clock; undefined where it did not come to that. */
export interface MigrationTimes {
  readonly startMs: number;
  readonly endMs: number;
  readonly passStartMs?: number;
  readonly passEndMs?: number;
  /** The pause was asked for. */
  readonly pauseMs?: number;
  /** The last vCPU stood. */
  readonly stoodMs?: number;
  /** The last page that had to come before the switchover had arrived. */
  readonly restSentMs?: number;
  /** The dirty pages were known, and the switchover message was about to be written. */
  readonly sentMs?: number;
  readonly receivedMs?: number;
  readonly firstOperationMs?: number;
  readonly completedMs?: number;
}
