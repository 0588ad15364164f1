import type { PageKernel } from "../memory/kernel.js";
import { BLOCKS_PER_PAGE } from "../protocol/deltas.js";

/**
 * What the blocks of pages were, by their sums, so that what has changed since is found. `sums` has `BLOCKS_PER_PAGE` words for each of
 * its entries, and is plain: an entry belongs to one thread at a time. What is noted or compared is the page whose checksum `kernel`
 * computed last.
 */
export class BlockSums {
  constructor(
    private readonly kernel: PageKernel,
    private readonly sums: Int32Array,
  ) {}

  note(entry: number): void {
    const first = entry * BLOCKS_PER_PAGE;
    for (let block = 0; block < BLOCKS_PER_PAGE; block += 1) {
      this.sums[first + block] = this.kernel.blockSum(block);
    }
  }

  /** Bit _n_ is set where block _n_ is not what was noted. */
  changed(entry: number): number {
    const first = entry * BLOCKS_PER_PAGE;
    let changed = 0;
    for (let block = 0; block < BLOCKS_PER_PAGE; block += 1) {
      if (this.kernel.blockSum(block) !== this.sums[first + block]) changed |= 1 << block;
    }
    return changed;
  }
}
