import { PAGE_BYTES } from "../memory/geometry.js";
import {
  BLOCK_BYTES,
  countBlocks,
  DeltaTable,
  lowestRun,
  MAX_DELTAS_FRONT_BYTES,
  offsetOfBlocks,
} from "../protocol/deltas.js";
import { MAX_DATA_PAGES } from "../protocol/limits.js";
import type { Purpose } from "../protocol/pages.js";

/** A page of which more blocks than this have changed goes whole: it saves next to nothing then. */
export const MOST_BLOCKS = 12;

/**
 * A frame of deltas, built in one buffer, again and again. Blocks are copied when their page is added, while the processor has it at hand: so
 * they start at one place, and header and table come right before them.
 */
export class DeltaFrame {
  private readonly table = new DeltaTable();
  /** Of memory that is never touched nothing is taken. */
  private readonly buffer = new ArrayBuffer(
    MAX_DELTAS_FRONT_BYTES + MAX_DATA_PAGES * MOST_BLOCKS * BLOCK_BYTES,
  );
  private readonly blocks = new Uint8Array(this.buffer, MAX_DELTAS_FRONT_BYTES);

  constructor(private readonly memory: Uint8Array) {}

  get pageCount(): number {
    return this.table.pageCount;
  }

  /** Bytes of all blocks. */
  get contentBytes(): number {
    return this.table.blockCount * BLOCK_BYTES;
  }

  get hasRoom(): boolean {
    return this.table.hasRoom;
  }

  /** Adds `page`, of which `changed` are the changed blocks, `MOST_BLOCKS` at most; `low` and `high` are the checksum's halves. */
  add(page: number, changed: number, low: number, high: number): void {
    let at = this.contentBytes;
    this.table.add(page, changed, low, high);
    for (let rest = changed, run; rest !== 0; rest ^= run) {
      run = lowestRun(rest);
      const start = page * PAGE_BYTES + offsetOfBlocks(run);
      const end = start + countBlocks(run) * BLOCK_BYTES;
      this.blocks.set(this.memory.subarray(start, end), at);
      at += end - start;
    }
  }

  /** All of the frame, until the next page is added; that one begins another frame. */
  take(purpose: Purpose, sequence: number): Uint8Array {
    const { table, buffer } = this;
    const { frontBytes, frameBytes } = table;
    const start = MAX_DELTAS_FRONT_BYTES - frontBytes;
    table.writeTo(new DataView(buffer, start), purpose, sequence);
    table.reset();
    return new Uint8Array(buffer, start, frameBytes);
  }
}
