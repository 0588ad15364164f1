import { MigrationError } from "../failure.js";
import { HEADER_BYTES, malformed, writeHeader } from "./frame.js";
import { MAX_DATA_PAGES } from "./limits.js";
import { FRAME_TYPES, type Purpose } from "./pages.js";

/**
 * A `DELTAS` frame has pages of stage three as deltas: the blocks of 256 bytes that have changed since the page was sent in
 * stage one. The destination has the others. All numbers are 32-bit little-endian:
 *
 *     pages, blocks of all of them                        8 bytes
 *     page, changed blocks, checksum (64 bit)            16 bytes each
 *     contents of each changed block                    256 bytes each, in the order of the table, ascending within a page
 *
 * Bit _n_ of the changed blocks stands for block _n_ of the page; there is at least one. The checksum is that of the whole
 * page as it is to be. The header's flags say why the pages come, as those of `PAGES` do.
 */
export const DELTAS_HEAD_BYTES = 8;
/** The page kernel sums up blocks of this size. */
export const BLOCK_BYTES = 256;
export const BLOCKS_PER_PAGE = 16;
const DELTA_BYTES = 16;
export const MAX_DELTAS_TABLE_BYTES = MAX_DATA_PAGES * DELTA_BYTES;
/** Header, head and the largest table. */
export const MAX_DELTAS_FRONT_BYTES = HEADER_BYTES + DELTAS_HEAD_BYTES + MAX_DELTAS_TABLE_BYTES;
const ALL_BLOCKS = 2 ** BLOCKS_PER_PAGE - 1;

export interface DeltasHead {
  readonly pages: number;
  readonly blocks: number;
  /** Bytes of the table. */
  readonly tableBytes: number;
}

/** A page of such a frame. */
export interface Delta {
  readonly page: number;
  readonly blocks: number;
  /** The halves of the checksum. */
  readonly low: number;
  readonly high: number;
}

/** How many blocks a mask of them names. */
export function countBlocks(mask: number): number {
  let count = 0;
  for (let rest = mask; rest !== 0; rest &= rest - 1) count += 1;
  return count;
}

/** Of the blocks that a mask names, the lowest with those that follow it without a gap, as a mask: adjacent blocks are copied at once. */
export function lowestRun(mask: number): number {
  return mask & ~(mask + (mask & -mask));
}

/** Where the lowest block of a mask that names some lies in its page, in bytes. */
export function offsetOfBlocks(mask: number): number {
  return (31 - Math.clz32(mask & -mask)) * BLOCK_BYTES;
}

/** Builds all of a frame but its blocks. Reused for frame after frame. */
export class DeltaTable {
  pageCount = 0;
  blockCount = 0;
  private readonly words = new Int32Array(MAX_DATA_PAGES * 4);

  reset(): void {
    this.pageCount = 0;
    this.blockCount = 0;
  }

  get hasRoom(): boolean {
    return this.pageCount < MAX_DATA_PAGES;
  }

  /** Adds `page`, of which `blocks` have changed, and `low` and `high` are the checksum's halves. */
  add(page: number, blocks: number, low: number, high: number): void {
    const at = this.pageCount * 4;
    this.words[at] = page;
    this.words[at + 1] = blocks;
    this.words[at + 2] = low;
    this.words[at + 3] = high;
    this.pageCount += 1;
    this.blockCount += countBlocks(blocks);
  }

  /** Bytes of header, head and table. */
  get frontBytes(): number {
    return HEADER_BYTES + DELTAS_HEAD_BYTES + this.pageCount * DELTA_BYTES;
  }

  get frameBytes(): number {
    return this.frontBytes + this.blockCount * BLOCK_BYTES;
  }

  /** Writes header, head and table at the start of `view`. */
  writeTo(view: DataView, purpose: Purpose, sequence: number): void {
    const bodyBytes = this.frameBytes - HEADER_BYTES;
    writeHeader(view, { type: FRAME_TYPES.DELTAS, flags: purpose, sequence, bodyBytes });
    view.setUint32(HEADER_BYTES, this.pageCount, true);
    view.setUint32(HEADER_BYTES + 4, this.blockCount, true);
    const start = HEADER_BYTES + DELTAS_HEAD_BYTES;
    for (let word = 0; word < this.pageCount * 4; word += 1) {
      view.setInt32(start + word * 4, this.words[word] ?? 0, true);
    }
  }
}

/** Reads the head of a `DELTAS` body of `bodyBytes`. Throws FRAME_MALFORMED where the sums do not agree. */
export function readDeltasHead(source: Uint8Array, bodyBytes: number): DeltasHead {
  const view = new DataView(source.buffer, source.byteOffset, DELTAS_HEAD_BYTES);
  const pages = view.getUint32(0, true);
  const blocks = view.getUint32(4, true);
  if (pages === 0 || pages > MAX_DATA_PAGES) {
    const most = String(MAX_DATA_PAGES);
    throw malformed("deltas", `it has ${String(pages)} pages, where 1 to ${most} may be`);
  }
  if (blocks < pages || blocks > pages * BLOCKS_PER_PAGE) {
    throw malformed("deltas", `${String(pages)} pages cannot have ${String(blocks)} blocks`);
  }
  const tableBytes = pages * DELTA_BYTES;
  if (bodyBytes !== DELTAS_HEAD_BYTES + tableBytes + blocks * BLOCK_BYTES) {
    throw malformed("deltas", "its length is not what its table adds up to");
  }
  return { pages, blocks, tableBytes };
}

/**
 * Reads the table of such a frame for a guest of `pageCount` pages. Throws PAGE_OUT_OF_RANGE, or FRAME_MALFORMED where the
 * blocks do not agree with the head.
 */
export function readDeltas(table: Uint8Array, head: DeltasHead, pageCount: number): Delta[] {
  const view = new DataView(table.buffer, table.byteOffset, table.byteLength);
  const deltas: Delta[] = [];
  let described = 0;
  for (let at = 0; at < head.tableBytes; at += DELTA_BYTES) {
    const page = view.getUint32(at, true);
    const blocks = view.getUint32(at + 4, true);
    if (page >= pageCount) {
      throw new MigrationError({ code: "PAGE_OUT_OF_RANGE", pageIndex: page, pageCount });
    }
    if (blocks === 0 || blocks > ALL_BLOCKS) {
      throw malformed("deltas", `page ${String(page)} has the changed blocks ${String(blocks)}`);
    }
    described += countBlocks(blocks);
    deltas.push({
      page,
      blocks,
      low: view.getInt32(at + 8, true),
      high: view.getInt32(at + 12, true),
    });
  }
  if (described !== head.blocks) {
    throw malformed("deltas", "its pages do not add up to the blocks that it announces");
  }
  return deltas;
}
