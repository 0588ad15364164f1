import type { PageBitmap } from "../memory/bitmap.js";

/** A prepull window starts with this many pages and doubles as faults follow one another. */
const FIRST_WINDOW_PAGES = 8;
const MAX_WINDOW_PAGES = 128;

/**
 * The order in which dirty pages leave in stage three: those written last first, since the guest is likely to
 * touch them next; among equals, ascending. A fault is followed by a window of its neighbours.
 *
 * Only proposes: whoever sends a page claims it first, so what is proposed twice is sent once.
 */
export class PushOrder {
  private readonly order: Uint32Array;
  private next = 0;
  private lastFault = -1;
  private windowPages = FIRST_WINDOW_PAGES;

  /** `stamps` are the epochs of the last writes; see memory/tracker.ts. */
  constructor(
    private readonly dirty: PageBitmap,
    stamps: Int32Array,
  ) {
    this.order = Uint32Array.from(newestFirst(dirty, stamps));
  }

  /** Pages of the whole order. */
  get pageCount(): number {
    return this.order.length;
  }

  /** The next pages to push that `isQueued` does not know yet; empty at the end. */
  nextBatch(maxPages: number, isQueued: (page: number) => boolean): Uint32Array {
    const batch: number[] = [];
    while (this.next < this.order.length && batch.length < maxPages) {
      const page = this.order[this.next] ?? 0;
      this.next += 1;
      if (!isQueued(page)) batch.push(page);
    }
    // Neighbours share a run on the wire.
    return Uint32Array.from(batch).sort();
  }

  /**
   * Dirty pages that are worth sending along with the fault on `page`. The window grows while faults
   * move on through it or just behind it, and starts anew when they jump.
   */
  neighbours(page: number, isQueued: (page: number) => boolean): Uint32Array {
    const follows = this.lastFault >= 0 && Math.abs(page - this.lastFault) <= this.windowPages * 2;
    this.windowPages = follows
      ? Math.min(this.windowPages * 2, MAX_WINDOW_PAGES)
      : FIRST_WINDOW_PAGES;
    this.lastFault = page;
    const window: number[] = [];
    const end = Math.min(page + this.windowPages, this.dirty.pageCount - 1);
    for (let near = Math.max(0, page - (this.windowPages >> 2)); near <= end; near += 1) {
      if (near !== page && this.dirty.has(near) && !isQueued(near)) window.push(near);
    }
    return Uint32Array.from(window);
  }
}

/** Pages by falling stamp, then ascending: a stable counting sort over the few epochs of a pass. */
function* newestFirst(dirty: PageBitmap, stamps: Int32Array): Generator<number> {
  const byEpoch = new Map<number, number[]>();
  for (const page of dirty.pages()) {
    const epoch = stamps[page] ?? 0;
    const pages = byEpoch.get(epoch);
    if (pages === undefined) byEpoch.set(epoch, [page]);
    else pages.push(page);
  }
  for (const epoch of [...byEpoch.keys()].sort((a, b) => b - a)) yield* byEpoch.get(epoch) ?? [];
}
