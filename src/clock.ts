/** The one place that reads the time. Passed in wherever time decides something. */
export interface Clock {
  /** Milliseconds since an arbitrary start, the same start in every thread of this process. */
  nowMs(): number;
}

export const monotonicClock: Clock = {
  // hrtime is CLOCK_MONOTONIC: one start for all threads. `performance.now` starts per thread.
  nowMs: () => Number(process.hrtime.bigint()) / 1e6,
};

/** Wall-clock time for records that people read. */
export function timestamp(): string {
  return new Date().toISOString();
}
