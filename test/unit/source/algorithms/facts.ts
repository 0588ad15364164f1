import type { PassFacts, StopFacts } from "../../../../src/source/algorithms/algorithm.js";

/** 1 MB/s in pages of 4096 bytes: 256 pages take 1048.576 ms. */
const BYTES_PER_SECOND = 1_000_000;

/** The second round of a guest of 1000 pages that comes to rest: nothing yet ends it. */
export function passFacts(changes: Partial<PassFacts> = {}): PassFacts {
  return {
    pass: 2,
    pagesSent: 400,
    pagesSkipped: 10,
    pagesSentBefore: 1000,
    pagesSentInAll: 1400,
    dirtyPages: 200,
    dirtyPagesBefore: 410,
    totalPages: 1000,
    durationMs: 1638.4,
    elapsedMs: 6000,
    bytesPerSecond: BYTES_PER_SECOND,
    roundTripMs: 0.2,
    throttlePercent: 0,
    ...changes,
  };
}

/** A guest that was stopped with so many dirty pages. */
export function stopFacts(dirtyPages: number, changes: Partial<StopFacts> = {}): StopFacts {
  return {
    reason: null,
    lastPass: null,
    elapsedMs: 6000,
    bytesPerSecond: BYTES_PER_SECOND,
    roundTripMs: 0.2,
    dirtyPages: () => dirtyPages,
    ...changes,
  };
}
