import { PAGE_BYTES } from "../memory/geometry.js";

/** What a pace is taken to be before anything was sent, where no limit says it. */
const FIRST_BYTES_PER_SECOND = 1e9;
/** It weighs as much as so many pages that were sent. */
const FIRST_PAGES = 256;

/**
 * One channel's pace in a pass, and so how long the pass would still take if nothing more were deferred.
 *
 * Only pages with contents count, and only the time of chunks of which any were sent. Hot pages often lie together, and so
 * do pages that were never written: by a pace that counted them a pass would seem to be nearly over when it has
 * hardly begun.
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

  /** So many pages of the chunk had contents and were not deferred. */
  sent(pageCount: number): void {
    this.chunkPages = pageCount;
  }

  /** Milliseconds that so many pages will take, all channels together. */
  timeFor(pageCount: number): number {
    return (pageCount / this.channels) * (this.ms / this.pages);
  }
}
