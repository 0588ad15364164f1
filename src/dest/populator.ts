import type { AtomicPageBitmap } from "../memory/bitmap.js";
import { PAGE_BYTES, type PageRange } from "../memory/geometry.js";
import type { GuestRam } from "../memory/ram.js";

const PAGE_WORDS = PAGE_BYTES / 4;

/**
 * Touches the pages that the source's first pass leaves out, as the pass goes by them: they were deferred, and
 * are the first that the guest will want. The kernel gives memory when it is first touched, two megabytes
 * at a time, and may take ten milliseconds for it; better now than while the guest waits for the page.
 */
export class Populator {
  private readonly words: Int32Array;
  private readonly arrived: AtomicPageBitmap;
  /** Never goes back, so that no source can have more than one look at every page. */
  private passed = 0;

  constructor(ram: GuestRam) {
    this.words = new Int32Array(ram.buffer);
    this.arrived = ram.arrived;
  }

  /** The pass has come to `page`: touches what is missing before it. */
  passTo(page: number): void {
    for (; this.passed < page; this.passed += 1) {
      // Another channel may be filling the page: to add nothing, in one step, takes nothing from it.
      if (!this.arrived.has(this.passed)) Atomics.add(this.words, this.passed * PAGE_WORDS, 0);
    }
  }

  /** The pass has brought `range`: touches what is missing before it. */
  pass({ firstPage, pageCount }: PageRange): void {
    this.passTo(firstPage);
    this.passed = Math.max(this.passed, firstPage + pageCount);
  }
}
