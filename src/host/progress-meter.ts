import type { Clock } from "../clock.js";
import type { StageProgress } from "../protocol/progress.js";
import type { Direction, ProgressEvent } from "./events.js";

/** Makes progress events of counts: rates over the time since the last, or since the migration began, and the time that is left. */
export class ProgressMeter {
  private lastMs: number;
  private last: Pick<StageProgress, "bytes" | "pagesDone"> & {
    stage: StageProgress["stage"] | null;
  };

  constructor(
    private readonly migrationId: string,
    private readonly direction: Direction,
    private readonly clock: Clock,
  ) {
    this.lastMs = clock.nowMs();
    this.last = { stage: null, bytes: 0, pagesDone: 0 };
  }

  measure(progress: StageProgress): ProgressEvent {
    const { last, lastMs } = this;
    const nowMs = this.clock.nowMs();
    this.last = progress;
    this.lastMs = nowMs;
    const perSecond = (count: number) => (nowMs > lastMs ? (count * 1000) / (nowMs - lastMs) : 0);
    // Each stage counts its own pages.
    const isSameStage = last.stage === null || last.stage === progress.stage;
    const pagesPerSecond = isSameStage ? perSecond(progress.pagesDone - last.pagesDone) : 0;
    const pagesLeft = progress.pagesTotal - progress.pagesDone;
    return {
      event: "progress",
      migrationId: this.migrationId,
      direction: this.direction,
      stage: progress.stage,
      pagesDone: progress.pagesDone,
      pagesTotal: progress.pagesTotal,
      bytesPerSecond: perSecond(progress.bytes - last.bytes),
      secondsLeft: pagesPerSecond > 0 ? pagesLeft / pagesPerSecond : null,
      guestOpsPerSecond: progress.guestOpsPerSecond,
      faults: progress.faults,
    };
  }
}
