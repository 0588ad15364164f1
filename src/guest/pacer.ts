import type { Clock } from "../clock.js";

/** After a stall at most this much is caught up, so that a pause is not followed by a burst. */
const CATCH_UP_MS = 10;

/** Holds a vCPU to a number of operations per second; undefined lets it run freely. */
export class Pacer {
  private creditAtMs: number;
  /** The first operation is due at once: a guest that arrives is not held up by its rate. */
  private credit = 1;

  constructor(
    private readonly operationsPerSecond: number | undefined,
    private readonly clock: Clock,
  ) {
    this.creditAtMs = clock.nowMs();
  }

  /** Operations that may run now. */
  allowance(): number {
    const rate = this.operationsPerSecond;
    if (rate === undefined) return Number.POSITIVE_INFINITY;
    const nowMs = this.clock.nowMs();
    const most = Math.max(1, (rate * CATCH_UP_MS) / 1000);
    this.credit = Math.min(most, this.credit + ((nowMs - this.creditAtMs) * rate) / 1000);
    this.creditAtMs = nowMs;
    return Math.floor(this.credit);
  }

  spend(operations: number): void {
    this.credit -= operations;
  }

  /** Until the next operation may run. */
  delayMs(): number {
    const rate = this.operationsPerSecond ?? Number.POSITIVE_INFINITY;
    return Math.max(0, ((1 - this.credit) * 1000) / rate);
  }

  /** Forgets the time since it last looked. */
  restart(): void {
    this.creditAtMs = this.clock.nowMs();
  }
}
