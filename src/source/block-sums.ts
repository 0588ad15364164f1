import type { PageKernel } from "../memory/kernel.js";
import { BLOCKS_PER_PAGE } from "../protocol/deltas.js";

const PAIRS_PER_PAGE = BLOCKS_PER_PAGE / 2;

/**
 * What the blocks of pages were, by their sums, so that what has changed since is found. `sums` has `BLOCKS_PER_PAGE` words for each of
 * its entries, and is plain: an entry belongs to one thread at a time. Zeroes are an entry of which nothing was noted: no block
 * has that sum, zero or not, but by a chance of one in two billion. What is noted or compared is the page whose checksum `kernel` computed last.
 */
export class BlockSums {
  /** `sums` again, two in each: calls of the kernel are what noting takes. */
  private readonly pairs: Float64Array;
  private readonly latest = new Int32Array(BLOCKS_PER_PAGE);
  private readonly latestPairs = new Float64Array(this.latest.buffer);

  constructor(
    private readonly kernel: PageKernel,
    private readonly sums: Int32Array,
  ) {
    this.pairs = new Float64Array(sums.buffer, sums.byteOffset, sums.length / 2);
  }

  note(entry: number): void {
    this.read(this.pairs, entry * PAIRS_PER_PAGE);
  }

  /** Bit _n_ is set where block _n_ is not what was noted, and of an entry of zeroes every bit. */
  changed(entry: number): number {
    this.read(this.latestPairs, 0);
    const first = entry * BLOCKS_PER_PAGE;
    let changed = 0;
    for (let block = 0; block < BLOCKS_PER_PAGE; block += 1) {
      if (this.latest[block] !== this.sums[first + block]) changed |= 1 << block;
    }
    return changed;
  }

  private read(pairs: Float64Array, first: number): void {
    for (let pair = 0; pair < PAIRS_PER_PAGE; pair += 1) {
      pairs[first + pair] = this.kernel.blockSums(pair);
    }
  }
}
