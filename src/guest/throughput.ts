import type { Clock } from "../clock.js";

export const BIN_MS = 10;
/** So many bins are kept, 200 s of them and more where the timer is late; then the oldest tenth is forgotten. */
const MAX_BINS = 20_000;

/** A bin: when it began, and the operations in it. */
export type ThroughputBin = readonly [startMs: number, operations: number];

/**
 * Counts a guest's operations in bins of about 10 ms. The timer is late where the machine is busy, so each
 * bin says when it really began.
 */
export class ThroughputRecorder {
  private readonly bins: ThroughputBin[] = [];
  private startMs: number;
  private counted: number;
  private timer: NodeJS.Timeout;

  constructor(
    private readonly operations: () => number,
    private readonly clock: Clock,
  ) {
    this.startMs = clock.nowMs();
    this.counted = operations();
    this.timer = setInterval(() => {
      this.close();
    }, BIN_MS);
    this.timer.unref();
  }

  /** Closes the bin under way and starts the next. */
  close(): void {
    const nowMs = this.clock.nowMs();
    const counted = this.operations();
    this.bins.push([this.startMs, counted - this.counted]);
    if (this.bins.length > MAX_BINS) this.bins.splice(0, MAX_BINS / 10);
    this.startMs = nowMs;
    this.counted = counted;
  }

  /** Bins that began at `sinceMs` or later, oldest first. */
  since(sinceMs: number): readonly ThroughputBin[] {
    return this.bins.filter(([startMs]) => startMs >= sinceMs);
  }

  /** Operations per second over the last `windowMs`. */
  recentRate(windowMs = 500): number {
    const bins = this.since(this.clock.nowMs() - windowMs);
    const [first] = bins;
    if (first === undefined) return 0;
    const operations = bins.reduce((total, [, count]) => total + count, 0);
    return operations / Math.max(1e-3, (this.startMs - first[0]) / 1000);
  }

  stop(): void {
    clearInterval(this.timer);
  }
}
