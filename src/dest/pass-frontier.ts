import type { PageRange } from "../memory/geometry.js";

/** Pages below this one are settled, and were handed out. */
const SETTLED = 0;
/** Then a word for each bulk channel: where the pass has come to on it. */
const FIRST_CHANNEL = 1;

/**
 * How far the source's pass has come, over all bulk channels. The source hands out chunks in ascending order, and a channel sends
 * the pages of one before it takes the next: so below the least of the channels' places nothing of the pass is still to come.
 */
export class PassFrontier {
  private readonly words: Int32Array;

  constructor(buffer: SharedArrayBuffer) {
    this.words = new Int32Array(buffer);
  }

  static createBuffer(bulkCount: number): SharedArrayBuffer {
    return new SharedArrayBuffer((FIRST_CHANNEL + bulkCount) * 4);
  }

  /**
   * On that channel all pages below `page` have come that were to come. Returns those that are settled by that: each page to
   * one caller, once, whatever a source sends.
   */
  advance(channel: number, page: number): PageRange {
    const { words } = this;
    const at = FIRST_CHANNEL + channel;
    // Only its own channel writes the word. What the channel has stored of `arrived` is seen by whoever loads it.
    if (page > Atomics.load(words, at)) Atomics.store(words, at, page);
    let settled = page;
    for (let other = FIRST_CHANNEL; other < words.length; other += 1) {
      settled = Math.min(settled, Atomics.load(words, other));
    }
    for (;;) {
      const firstPage = Atomics.load(words, SETTLED);
      if (settled <= firstPage) return { firstPage, pageCount: 0 };
      const found = Atomics.compareExchange(words, SETTLED, firstPage, settled);
      if (found === firstPage) return { firstPage, pageCount: settled - firstPage };
    }
  }
}
