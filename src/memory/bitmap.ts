import type { PageRange } from "./geometry.js";

/** Bytes that hold one bit for each of `pageCount` pages, in whole 32-bit words. */
export function bitmapBytes(pageCount: number): number {
  return Math.ceil(pageCount / 32) * 4;
}

/** A set of pages, one bit each. Not for use by two threads at once: see `AtomicPageBitmap`. */
export class PageBitmap {
  private constructor(
    readonly pageCount: number,
    /** 32 pages each, the first by the lowest bit. Loops here and below go over it themselves: a guest waits for some. */
    readonly words: Int32Array,
  ) {}

  static empty(pageCount: number): PageBitmap {
    return new PageBitmap(pageCount, new Int32Array(bitmapBytes(pageCount) / 4));
  }

  /**
   * Reads what `toBytes` wrote. Undefined when `bytes` has not the length for `pageCount`, or has bits
   * beyond it.
   */
  static fromBytes(pageCount: number, bytes: Uint8Array): PageBitmap | undefined {
    if (bytes.byteLength !== bitmapBytes(pageCount)) return undefined;
    const words = new Int32Array(bytes.byteLength / 4);
    new Uint8Array(words.buffer).set(bytes);
    const used = pageCount % 32;
    const last = words.at(-1) ?? 0;
    if (used !== 0 && last >>> used !== 0) return undefined;
    return new PageBitmap(pageCount, words);
  }

  /** Little-endian: page p is bit p % 8 of byte p / 8. */
  toBytes(): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.words.slice().buffer);
  }

  has(page: number): boolean {
    return ((this.words[page >>> 5] ?? 0) & (1 << (page & 31))) !== 0;
  }

  add(page: number): void {
    const at = page >>> 5;
    this.words[at] = (this.words[at] ?? 0) | (1 << (page & 31));
  }

  /** How many pages are in the set. */
  count(): number {
    let total = 0;
    for (const word of this.words) total += bitCount(word);
    return total;
  }

  /** Sets the entry of each page of the set in a table of one entry per page. */
  setInTable(table: Int32Array, value: number): void {
    const { words } = this;
    for (let at = 0; at < words.length; at += 1) {
      let rest = words[at] ?? 0;
      if (rest === -1) {
        const first = at;
        while (words[at + 1] === -1) at += 1;
        table.fill(value, first * 32, (at + 1) * 32);
        continue;
      }
      while (rest !== 0) {
        table[at * 32 + lowestBit(rest)] = value;
        rest &= rest - 1;
      }
    }
  }

  /** Adds every page. */
  addAll(): void {
    this.words.forEach((_, at) => {
      this.words[at] = wordBits(0, Math.min(32, this.pageCount - at * 32));
    });
  }

  /** The pages of the set, ascending. */
  *pages(): Generator<number> {
    for (let at = 0; at < this.words.length; at += 1) {
      for (const bit of bits(this.words[at] ?? 0)) yield at * 32 + bit;
    }
  }
}

/**
 * A set of pages that threads share. Every operation is one atomic access of one word, so it orders
 * what a thread did before it against what another does after it has seen the bit.
 *
 * `subtract`, `setComplement` and `addTo` are plain, since a guest stands still for them and V8 takes ten times as long for an
 * atomic access. The first two are for one thread while no other uses the set, and all three see what others did before the
 * message, or the atomic word, that let this thread begin.
 */
export class AtomicPageBitmap {
  private readonly words: Int32Array;

  /** A view of `bitmapBytes(pageCount)` bytes at `byteOffset` of `buffer`. */
  constructor(
    readonly pageCount: number,
    buffer: SharedArrayBuffer,
    byteOffset = 0,
  ) {
    this.words = new Int32Array(buffer, byteOffset, bitmapBytes(pageCount) / 4);
  }

  static create(pageCount: number): { bitmap: AtomicPageBitmap; buffer: SharedArrayBuffer } {
    const buffer = new SharedArrayBuffer(bitmapBytes(pageCount));
    return { bitmap: new AtomicPageBitmap(pageCount, buffer), buffer };
  }

  has(page: number): boolean {
    return (Atomics.load(this.words, page >>> 5) & (1 << (page & 31))) !== 0;
  }

  /** Adds `page`; true for exactly one of the threads that add it. */
  claim(page: number): boolean {
    const bit = 1 << (page & 31);
    return (Atomics.or(this.words, page >>> 5, bit) & bit) === 0;
  }

  /**
   * Adds the next pages of `wanted` from `firstPage` on that are not in this set: at most `maxPages`, ascending.
   * Returns those that no other thread has added meanwhile, so each is returned to exactly one.
   */
  claimFrom(wanted: AtomicPageBitmap, firstPage: number, maxPages: number): number[] {
    const claimed: number[] = [];
    // Pages of the first word that lie before `firstPage` are not asked for.
    let asked = -1 << (firstPage & 31);
    let at = firstPage >>> 5;
    while (at < this.words.length && claimed.length < maxPages) {
      const open = Atomics.load(wanted.words, at) & ~Atomics.load(this.words, at) & asked;
      if (open === 0) {
        at += 1;
        asked = -1;
        continue;
      }
      // Where another thread takes some of them in between, the word has others left, perhaps.
      const chosen = lowestBits(open, maxPages - claimed.length);
      const before = Atomics.or(this.words, at, chosen);
      for (const bit of bits(chosen & ~before)) claimed.push(at * 32 + bit);
    }
    return claimed;
  }

  /** Removes `page`; true for exactly one of the threads that remove it. */
  take(page: number): boolean {
    const bit = 1 << (page & 31);
    return (Atomics.and(this.words, page >>> 5, ~bit) & bit) !== 0;
  }

  /** Adds all pages of `range`. */
  addRange({ firstPage, pageCount }: PageRange): void {
    const end = firstPage + pageCount;
    let page = firstPage;
    while (page < end) {
      const inWord = Math.min(32 - (page & 31), end - page);
      Atomics.or(this.words, page >>> 5, wordBits(page, inWord));
      page += inWord;
    }
  }

  /** The first page of those from `firstPage` to before `endPage` that is not in the set; `endPage` where all are. */
  firstMissing(firstPage: number, endPage: number): number {
    let page = firstPage;
    while (page < endPage) {
      const missing = ~Atomics.load(this.words, page >>> 5) & (-1 << (page & 31));
      const base = page & ~31;
      if (missing !== 0) return Math.min(endPage, base + lowestBit(missing));
      page = base + 32;
    }
    return endPage;
  }

  /** Whether any page of `range` is in the set. */
  hasAny({ firstPage, pageCount }: PageRange): boolean {
    const end = firstPage + pageCount;
    let page = firstPage;
    while (page < end) {
      const inWord = Math.min(32 - (page & 31), end - page);
      if ((Atomics.load(this.words, page >>> 5) & wordBits(page, inWord)) !== 0) return true;
      page += inWord;
    }
    return false;
  }

  /** Removes the pages of `other`; false when a page is in neither of the two sets, before. */
  subtract(other: PageBitmap): boolean {
    let covered = true;
    const { words, pageCount } = this;
    for (let at = 0; at < words.length; at += 1) {
      const [ours, theirs] = [words[at]!, other.words[at]!];
      const all = wordBits(0, Math.min(32, pageCount - at * 32));
      if (((ours | theirs) & all) !== all) covered = false;
      words[at] = ours & ~theirs;
    }
    return covered;
  }

  /**
   * Takes the pages of `other` that are in this set, and not in `except`, out of `other`; returns them,
   * ascending.
   */
  takeFrom(other: PageBitmap, except?: AtomicPageBitmap): number[] {
    const taken: number[] = [];
    for (let at = 0; at < this.words.length; at += 1) {
      const theirs = other.words[at]!;
      if (theirs === 0) continue;
      const kept = except === undefined ? 0 : Atomics.load(except.words, at);
      const found = theirs & Atomics.load(this.words, at) & ~kept;
      if (found === 0) continue;
      for (const bit of bits(found)) taken.push(at * 32 + bit);
      other.words[at] = theirs & ~found;
    }
    return taken;
  }

  /** Adds every page of this set to `other`. */
  addTo(other: PageBitmap): void {
    for (let at = 0; at < this.words.length; at += 1) {
      other.words[at]! |= this.words[at]!;
    }
  }

  /** Makes this equal to `other`. */
  assign(other: PageBitmap): void {
    for (let at = 0; at < this.words.length; at += 1) {
      Atomics.store(this.words, at, other.words[at]!);
    }
  }

  /** Makes this the complement of `other`. */
  setComplement(other: PageBitmap): void {
    for (let at = 0; at < this.words.length; at += 1) this.words[at] = ~other.words[at]!;
  }

  /** How many pages are in the set. */
  count(): number {
    let total = 0;
    for (let at = 0; at < this.words.length; at += 1) {
      total += bitCount(Atomics.load(this.words, at));
    }
    return total;
  }
}

/** Position of the lowest bit that is set in `word`, which is not 0. */
function lowestBit(word: number): number {
  return 31 - Math.clz32(word & -word);
}

/** Of the bits that are set in `word`, the lowest `count`. */
function lowestBits(word: number, count: number): number {
  let above = word;
  for (let left = count; left > 0 && above !== 0; left -= 1) above &= above - 1;
  return word & ~above;
}

/** Positions of the bits that are set in `word`, ascending. */
function* bits(word: number): Generator<number> {
  let rest = word;
  while (rest !== 0) {
    yield lowestBit(rest);
    rest &= rest - 1;
  }
}

/** The bits of `count` pages from `page` on, within one word. */
function wordBits(page: number, count: number): number {
  return count === 32 ? -1 : ((1 << count) - 1) << (page & 31);
}

/** Hamming weight of a 32-bit word (Warren, Hacker's Delight, 5-1). */
function bitCount(word: number): number {
  let bits = word - ((word >>> 1) & 0x55555555);
  bits = (bits & 0x33333333) + ((bits >>> 2) & 0x33333333);
  return Math.imul((bits + (bits >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}
