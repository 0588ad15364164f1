import type { PageBitmap } from "../memory/bitmap.js";
import type { Tuning } from "./tuning.js";

/** Written in this last share of the epochs of stage one: likely to be touched next. */
const RECENT_SHARE = 1 / 4;

/**
 * The order in which dirty pages leave in stage three: those written last first, the newest at the head;
 * then from the last fault on upwards, and round.
 *
 * Only proposes: whoever sends a page claims it first, so what is proposed twice is sent once.
 */
export class PushOrder {
  private readonly recent: Uint32Array;
  private nextRecent = 0;
  private readonly rest: Uint32Array;
  /** For each place in `rest` the next one at or after it that was not proposed; with short cuts. */
  private readonly open: Int32Array;
  private cursor = 0;

  /** `stamps` are the epochs of the last writes; see memory/tracker.ts. */
  constructor(dirty: PageBitmap, stamps: Int32Array, order: Tuning["order"]) {
    const pages = dirty.toIndexes();
    const boundary = order === "recent" ? recentSince(pages, stamps) : Number.POSITIVE_INFINITY;
    this.recent = newestFirst(
      pages.filter((page) => stamps[page]! >= boundary),
      stamps,
    );
    this.rest = pages.filter((page) => stamps[page]! < boundary);
    this.open = new Int32Array(this.rest.length + 1).map((_, at) => at);
  }

  /** What is not recent goes on from `page`. */
  faulted(page: number): void {
    let low = 0;
    let high = this.rest.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.rest[middle] ?? 0) < page) low = middle + 1;
      else high = middle;
    }
    this.cursor = low;
  }

  /** The next pages to push, without those that `isQueued` knows; empty at the end. */
  nextBatch(maxPages: number, isQueued: (page: number) => boolean): Uint32Array {
    const batch: number[] = [];
    while (batch.length < maxPages) {
      const page = this.nextPage();
      if (page === undefined) break;
      if (!isQueued(page)) batch.push(page);
    }
    // Neighbours share a run on the wire.
    return Uint32Array.from(batch).sort();
  }

  private nextPage(): number | undefined {
    if (this.nextRecent < this.recent.length) return this.recent[this.nextRecent++];
    let at = this.findOpen(this.cursor);
    if (at === this.rest.length) at = this.findOpen(0);
    if (at === this.rest.length) return undefined;
    this.open[at] = at + 1;
    this.cursor = at + 1;
    return this.rest[at];
  }

  /** Follows the short cuts from `at`, and halves the way for the next time (as union-find does). */
  private findOpen(at: number): number {
    const { open } = this;
    let place = at;
    while (open[place] !== place) {
      open[place] = open[open[place]!]!;
      place = open[place]!;
    }
    return place;
  }
}

/** The stamp from which on a page counts as recently written. */
function recentSince(pages: Uint32Array, stamps: Int32Array): number {
  let oldest = Number.POSITIVE_INFINITY;
  let newest = 0;
  for (const page of pages) {
    const stamp = stamps[page]!;
    oldest = Math.min(oldest, stamp);
    newest = Math.max(newest, stamp);
  }
  return newest - (newest - oldest) * RECENT_SHARE;
}

/** More than any page index, so that a stamp and a page fit into one number that sorts as both do. */
const STAMP_UNIT = 2 ** 21;

/** By falling stamp, then ascending. Numbers sort many times faster than by a function that compares. */
function newestFirst(pages: Uint32Array, stamps: Int32Array): Uint32Array {
  const keys = Float64Array.from(pages, (page) => page - stamps[page]! * STAMP_UNIT).sort();
  return Uint32Array.from(keys, (key) => ((key % STAMP_UNIT) + STAMP_UNIT) % STAMP_UNIT);
}
