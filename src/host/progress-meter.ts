import type { Clock } from "../clock.js";
import type { StageProgress } from "../protocol/progress.js";
import type { Direction, ProgressEvent } from "./events.js";

/** Makes progress events of counts: rates over the time since the last, and the time that is left. */
export class ProgressMeter {
  private last: { readonly atMs: number; readonly progress: StageProgress } | undefined;

  constructor(
    private readonly migrationId: string,
    private readonly direction: Direction,
    private readonly clock: Clock,
  ) {}

  measure(progress: StageProgress): ProgressEvent {
    const atMs = this.clock.nowMs();
    const { last } = this;
    this.last = { atMs, progress };
    const seconds = last === undefined ? 0 : (atMs - last.atMs) / 1000;
    const perSecond = (now: number, before: number) => (seconds > 0 ? (now - before) / seconds : 0);
    const before = last?.progress ?? progress;
    const pagesPerSecond =
      before.stage === progress.stage ? perSecond(progress.pagesDone, before.pagesDone) : 0;
    const pagesLeft = progress.pagesTotal - progress.pagesDone;
    return {
      event: "progress",
      migrationId: this.migrationId,
      direction: this.direction,
      stage: progress.stage,
      pagesDone: progress.pagesDone,
      pagesTotal: progress.pagesTotal,
      bytesPerSecond: perSecond(progress.bytes, before.bytes),
      secondsLeft: pagesPerSecond > 0 ? pagesLeft / pagesPerSecond : null,
      guestOpsPerSecond: progress.guestOpsPerSecond,
      faults: progress.faults,
    };
  }
}
