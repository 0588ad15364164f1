import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { failureOf } from "../../src/failure.js";
import {
  BLOCK_BYTES,
  BLOCKS_PER_PAGE,
  countBlocks,
  type Delta,
  DELTAS_HEAD_BYTES,
  DeltaTable,
  lowestRun,
  offsetOfBlocks,
  readDeltas,
  readDeltasHead,
} from "../../src/protocol/deltas.js";
import { HEADER_BYTES, readHeader } from "../../src/protocol/frame.js";
import { MAX_DATA_PAGES } from "../../src/protocol/limits.js";
import { FRAME_TYPES, MAX_PAGES_FRAME_BYTES, PURPOSE } from "../../src/protocol/pages.js";
import "../seed.js";

const PAGE_COUNT = 4096;

const ALL_BLOCKS = 2 ** BLOCKS_PER_PAGE - 1;

const word = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
const delta: fc.Arbitrary<Delta> = fc.record(
  {
    page: fc.nat(PAGE_COUNT - 1),
    blocks: fc.integer({ min: 1, max: ALL_BLOCKS }),
    low: word,
    high: word,
  },
  { noNullPrototype: true },
);
const deltas = fc.array(delta, { minLength: 1, maxLength: MAX_DATA_PAGES, size: "max" });

/** Header, head and table, without the blocks. */
function frontOf(all: readonly Delta[]): {
  readonly front: Uint8Array;
  readonly bodyBytes: number;
} {
  const table = new DeltaTable();
  for (const { page, blocks, low, high } of all) table.add(page, blocks, low, high);
  const front = new Uint8Array(table.frontBytes);
  table.writeTo(new DataView(front.buffer), PURPOSE.PUSH, 7);
  return { front, bodyBytes: table.frameBytes - HEADER_BYTES };
}

/** As a destination reads it, for a guest of `PAGE_COUNT` pages. */
function read(body: Uint8Array, bodyBytes: number): readonly Delta[] {
  const head = readDeltasHead(body, bodyBytes);
  const table = body.subarray(DELTAS_HEAD_BYTES, DELTAS_HEAD_BYTES + head.tableBytes);
  return readDeltas(table, head, PAGE_COUNT);
}

test("a frame of deltas is read as it was written, and as long as its header says", () => {
  fc.assert(
    fc.property(deltas, (all) => {
      const { front, bodyBytes } = frontOf(all);
      const { type, flags, ...rest } = readHeader(front, 7, MAX_PAGES_FRAME_BYTES);
      assert.deepEqual([type, flags], [FRAME_TYPES.DELTAS, PURPOSE.PUSH]);
      assert.equal(rest.bodyBytes, bodyBytes);
      const blocks = all.reduce((sum, it) => sum + countBlocks(it.blocks), 0);
      assert.equal(front.byteLength - HEADER_BYTES + blocks * BLOCK_BYTES, bodyBytes);
      assert.deepEqual(read(front.subarray(HEADER_BYTES), bodyBytes), all);
    }),
  );
});

test("a frame of deltas that is changed in any way is refused, or names pages that there are and the blocks that follow", () => {
  const change = fc.record({ at: fc.nat(), value: fc.constantFrom(0, 1, 0x80, 0xff) });
  const some = fc.array(delta, { minLength: 1, maxLength: 3 });
  let refused = 0;
  fc.assert(
    fc.property(some, fc.array(change, { minLength: 1, maxLength: 3 }), (all, changes) => {
      const { front, bodyBytes } = frontOf(all);
      const body = front.subarray(HEADER_BYTES);
      for (const { at, value } of changes) body[at % body.byteLength] = value;
      try {
        const found = read(body, bodyBytes);
        assert.ok(found.every(({ page, blocks }) => page < PAGE_COUNT && blocks > 0));
        const blocks = found.reduce((sum, it) => sum + countBlocks(it.blocks), 0);
        const tableBytes = bodyBytes - blocks * BLOCK_BYTES;
        assert.equal(tableBytes, DELTAS_HEAD_BYTES + found.length * 16);
      } catch (error) {
        if (error instanceof assert.AssertionError) throw error;
        assert.match(failureOf(error).code, /^(FRAME_MALFORMED|PAGE_OUT_OF_RANGE)$/);
        refused += 1;
      }
    }),
    { numRuns: 500 },
  );
  assert.ok(refused > 100, `only ${String(refused)} were refused`);
});

test("as many blocks are counted as there are bits", () => {
  assert.deepEqual([0, 1, 0b1000_0000, 0b101, ALL_BLOCKS].map(countBlocks), [0, 1, 1, 2, 16]);
});

test("runs of blocks name each block once, in order, with a gap between one and the next", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: ALL_BLOCKS }), (mask) => {
      let end = -1;
      let named = 0;
      for (let rest = mask, run; rest !== 0; rest ^= run) {
        run = lowestRun(rest);
        const first = offsetOfBlocks(run) / BLOCK_BYTES;
        assert.ok(first > end, "nothing lies between two runs");
        end = first + countBlocks(run);
        assert.equal(run, 2 ** end - 2 ** first);
        named |= run;
      }
      assert.equal(named, mask);
    }),
  );
});
