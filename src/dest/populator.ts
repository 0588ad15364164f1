import type { AtomicPageBitmap } from "../memory/bitmap.js";
import { PAGE_BYTES } from "../memory/geometry.js";
import type { GuestRam } from "../memory/ram.js";
import type { PassFrontier } from "./pass-frontier.js";

const PAGE_WORDS = PAGE_BYTES / 4;

/**
 * Touches the pages that the source's first pass leaves out, as the pass goes by them: they were deferred, and
 * are the first that the guest will want. The kernel gives memory when it is first touched, two megabytes
 * at a time, and may take ten milliseconds for it; better now than while the guest waits for the page. What has
 * come, as contents or as zero, needs none for that. One per channel.
 */
export class Populator {
  private readonly words: Int32Array;
  private readonly arrived: AtomicPageBitmap;

  constructor(
    ram: GuestRam,
    private readonly frontier: PassFrontier,
    private readonly channel: number,
  ) {
    this.words = new Int32Array(ram.buffer);
    this.arrived = ram.arrived;
  }

  /** On this channel the pass has come to `page`; what it brings of it is not touched before it has arrived. */
  passTo(page: number): void {
    const { firstPage, pageCount } = this.frontier.advance(this.channel, page);
    const end = firstPage + pageCount;
    for (let behind = firstPage; ; behind += 1) {
      behind = this.arrived.firstMissing(behind, end);
      if (behind === end) break;
      // To add nothing, in one step, takes nothing from a page that is filled meanwhile.
      Atomics.add(this.words, behind * PAGE_WORDS, 0);
    }
  }
}
