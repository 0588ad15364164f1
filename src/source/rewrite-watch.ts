import { PAGE_BYTES } from "../memory/geometry.js";
import { createPageKernel, type PageKernel } from "../memory/kernel.js";
import type { GuestRam } from "../memory/ram.js";
import { GUEST_WORDS, NEVER } from "../memory/words.js";
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

/** Of a page that the guest rewrites, the share of its blocks that changes, as the guest's `RewriteWatch` found it last; 1 where it knows too little. */
export function rewrittenShare({ words }: GuestRam): number {
  return Atomics.load(words, GUEST_WORDS.REWRITTEN) / 1000;
}

/** Pages that are known as they once were: the newest. */
export const WATCHED_PAGES = 128;
/** Pages noted in a turn until there are as many as that, so that something is known soon, and then, so that all are a second or so old at most. */
const PAGES_OF_TURN = { first: 16, later: 2 };
/** Pages whose stamps are looked at to find one that is rewritten. Where that many do not do, there are few of them, and little depends on them. */
const MOST_TRIES = 64;
/** Fewer rewritten pages tell nothing: the guest may be in the middle of one. */
export const LEAST_PAGES = 8;
/** To look again at all pages takes 50 µs and more: not in each turn. */
export const TURNS_PER_LOOK = 12;
/** Multiples of it, modulo 1, lie evenly however many there are: the next page to try. */
const GOLDEN_RATIO = (Math.sqrt(5) - 1) / 2;

/**
 * Watches how much of a page a guest changes where it rewrites pages: what the blocks of some of them were once, and what they are
 * now. A turn now and then is all it takes, so that a migration knows from its first chunk on. The guest does not notice.
 *
 * Reads pages while the guest writes to them, so a block may be seen half written; it has changed all the same. What is found
 * goes into a word of its own, which orders nothing: who reads an older one decides as it would have a moment before.
 */
export class RewriteWatch {
  private readonly kernel: PageKernel;
  private readonly blockSums: BlockSums;
  private readonly pages: number[] = [];
  /** What their stamps were. */
  private readonly stamps: number[] = [];
  private next = 0;
  private turns = 0;
  private tries = 0;

  constructor(private readonly ram: GuestRam) {
    this.kernel = createPageKernel(ram.handle.memory);
    this.blockSums = new BlockSums(this.kernel, new Int32Array(WATCHED_PAGES * BLOCKS_PER_PAGE));
    this.publish(1);
  }

  /** Pages stamped with `hotSince` or a newer epoch are being rewritten. */
  turn(hotSince: number): void {
    this.turns += 1;
    if (this.turns % TURNS_PER_LOOK === 0) this.look();
    const { first, later } = PAGES_OF_TURN;
    const wanted = this.pages.length < WATCHED_PAGES ? first : later;
    for (let noted = 0; noted < wanted; noted += 1) {
      const page = this.find(hotSince);
      if (page === undefined) return;
      this.note(page);
    }
  }

  private find(hotSince: number): number | undefined {
    const { stamps, pageCount } = this.ram;
    for (let tries = 0; tries < MOST_TRIES; tries += 1) {
      this.tries += 1;
      const page = Math.floor(((this.tries * GOLDEN_RATIO) % 1) * pageCount);
      if ((stamps[page] ?? NEVER) >= hotSince) return page;
    }
    return undefined;
  }

  private note(page: number): void {
    // Before the contents: a write that comes between makes the page a rewritten one, of which nothing has changed yet.
    this.stamps[this.next] = this.ram.stamps[page] ?? NEVER;
    this.kernel.checksumPage(page * PAGE_BYTES);
    this.blockSums.note(this.next);
    this.pages[this.next] = page;
    this.next = (this.next + 1) % WATCHED_PAGES;
  }

  private look(): void {
    let pages = 0;
    let blocks = 0;
    this.pages.forEach((page, at) => {
      if (this.ram.stamps[page] === this.stamps[at]) return;
      this.kernel.checksumPage(page * PAGE_BYTES);
      pages += 1;
      blocks += countBlocks(this.blockSums.changed(at));
    });
    if (pages >= LEAST_PAGES) this.publish(blocks / (pages * BLOCKS_PER_PAGE));
  }

  private publish(share: number): void {
    Atomics.store(this.ram.words, GUEST_WORDS.REWRITTEN, Math.round(share * 1000));
  }
}
