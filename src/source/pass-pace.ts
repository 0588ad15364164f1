import { PAGE_BYTES } from "../memory/geometry.js";

/** Until a pass has a pace of its own, it is taken to be one chunk ahead at this one, or at its limit. */
const FIRST_BYTES_PER_SECOND = 1e9;
const FIRST_PAGES = 256;

/**
 * One channel's pace in a pass, and so how long the pass will still take.
 *
 * Pages that were deferred do not count, nor does the time of chunks that were deferred whole: hot pages often lie
 * together, and by a pace that counted them a pass would seem to be nearly over when it has hardly begun.
 */
export class PassPace {
  private pages = FIRST_PAGES;
  private ms: number;
  private chunkPages = 0;
  private chunkStartMs = 0;

  /** `channels` share the pass, and all of them keep to `bytesPerSecond`. */
  constructor(
    bytesPerSecond: number | undefined,
    private readonly channels: number,
  ) {
    const ofAll = (FIRST_PAGES * PAGE_BYTES * 1000) / (bytesPerSecond ?? FIRST_BYTES_PER_SECOND);
    this.ms = ofAll * channels;
  }

  /** A chunk begins, and the one before has left. */
  begin(nowMs: number): void {
    if (this.chunkPages > 0) {
      this.pages += this.chunkPages;
      this.ms += nowMs - this.chunkStartMs;
    }
    this.chunkStartMs = nowMs;
    this.chunkPages = 0;
  }

  /** So many pages of the chunk were not deferred. */
  sent(pageCount: number): void {
    this.chunkPages = pageCount;
  }

  /** Milliseconds that so many pages will take, all channels together. */
  timeFor(pageCount: number): number {
    return (pageCount / this.channels) * (this.ms / this.pages);
  }
}
