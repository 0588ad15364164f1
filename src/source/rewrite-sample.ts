import { PAGE_BYTES } from "../memory/geometry.js";
import { createPageKernel, type PageKernel } from "../memory/kernel.js";
import type { GuestRam } from "../memory/ram.js";
import { BLOCKS_PER_PAGE, countBlocks } from "../protocol/deltas.js";
import { BlockSums } from "./block-sums.js";

/** See docs/adr/0031. */
const MOST_REWRITTEN = 0.5;

/**
 * Whether hot pages are worth deferring where that share of a page's blocks changes when it is rewritten. Where less does, it is soon sent,
 * and the guest hardly waits for it.
 */
export function paysToDefer(rewrittenShare: number): boolean {
  return rewrittenShare > MOST_REWRITTEN;
}

/** Pages that are looked at again: the newest. */
export const SAMPLE_PAGES = 128;
/** So many of a chunk until there are as many as that, so that something is known soon, and then, so that all of memory has its say. */
const PAGES_OF_CHUNK = { first: 16, later: 1 };
/** Fewer pages that have changed tell nothing: the guest may be in the middle of one. */
export const LEAST_PAGES = 8;
/** To look again at all of them takes some 50 µs. */
const LOOK_MS = 10;

/**
 * How much of a page the guest changes where it rewrites pages, told by some of them: what their blocks were once, and what
 * they are now.
 */
export class RewriteSample {
  private readonly kernel: PageKernel;
  private readonly blockSums: BlockSums;
  private readonly pages: number[] = [];
  private next = 0;
  private lookedMs = Number.NEGATIVE_INFINITY;
  private found = 1;

  constructor(ram: GuestRam) {
    this.kernel = createPageKernel(ram.handle.memory);
    this.blockSums = new BlockSums(this.kernel, new Int32Array(SAMPLE_PAGES * BLOCKS_PER_PAGE));
  }

  /** Of the pages of a chunk that the guest is rewriting, how many are to be noted. */
  get wanted(): number {
    return this.pages.length < SAMPLE_PAGES ? PAGES_OF_CHUNK.first : PAGES_OF_CHUNK.later;
  }

  /** A page that the guest is rewriting, as it is now. */
  note(page: number): void {
    this.kernel.checksumPage(page * PAGE_BYTES);
    this.blockSums.note(this.next);
    this.pages[this.next] = page;
    this.next = (this.next + 1) % SAMPLE_PAGES;
  }

  /** The share of their blocks that has changed, of those pages that have changed; 1 where too few were seen to. */
  share(nowMs: number): number {
    if (nowMs - this.lookedMs < LOOK_MS) return this.found;
    this.lookedMs = nowMs;
    let pages = 0;
    let blocks = 0;
    this.pages.forEach((page, at) => {
      this.kernel.checksumPage(page * PAGE_BYTES);
      const changed = countBlocks(this.blockSums.changed(at));
      if (changed === 0) return;
      pages += 1;
      blocks += changed;
    });
    if (pages >= LEAST_PAGES) this.found = blocks / (pages * BLOCKS_PER_PAGE);
    return this.found;
  }
}
