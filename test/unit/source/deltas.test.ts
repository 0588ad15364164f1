import assert from "node:assert/strict";
import type net from "node:net";
import { Writable } from "node:stream";
import { test } from "node:test";
import { PAGE_BYTES } from "../../../src/memory/geometry.js";
import { GuestRam } from "../../../src/memory/ram.js";
import { FIRST_EPOCH } from "../../../src/memory/words.js";
import {
  BLOCK_BYTES,
  BLOCKS_PER_PAGE,
  DELTAS_HEAD_BYTES,
  readDeltas,
  readDeltasHead,
} from "../../../src/protocol/deltas.js";
import { type Frame, FrameDecoder } from "../../../src/protocol/frame.js";
import { FRAME_TYPES, MAX_PAGES_FRAME_BYTES, PURPOSE } from "../../../src/protocol/pages.js";
import { MigrationTables } from "../../../src/source/migration-tables.js";
import { PageSender } from "../../../src/source/page-sender.js";
import { RateLimit } from "../../../src/source/rate-limit.js";
import { completeTuning, type TuningChoice } from "../../../src/source/tuning.js";

const PAGE_COUNT = 64;
/** The first so many were written so long ago that their blocks are not noted. */
const COLD_PAGES = 1;

/** A guest of full pages, all of which were sent in stage one, and what is sent from then on. */
function sentBefore(choice: TuningChoice = {}) {
  const ram = GuestRam.allocate(PAGE_COUNT * PAGE_BYTES, 1);
  const bytes = new Uint8Array(ram.buffer).fill(7);
  ram.stamps.fill(FIRST_EPOCH);
  const tables = MigrationTables.create(ram.pageCount, RateLimit.createState());
  const frames: Frame[] = [];
  const decoder = new FrameDecoder(MAX_PAGES_FRAME_BYTES);
  const socket = new Writable({
    write: (chunk: Uint8Array, _encoding, done) => {
      frames.push(...decoder.push(chunk));
      done();
    },
  }) as unknown as net.Socket;
  const sender = new PageSender(ram, tables, socket, "bulkBytes", 0, completeTuning(choice));
  ram.stamps.fill(FIRST_EPOCH + 1, COLD_PAGES);
  sender.addRun(0, PAGE_COUNT, FIRST_EPOCH + 1);
  sender.flush(PURPOSE.PASS, 1);
  frames.length = 0;
  const change = (page: number, ...blocks: readonly number[]) => {
    // The last byte of a block.
    for (const block of blocks) bytes[page * PAGE_BYTES + (block + 1) * BLOCK_BYTES - 1]! += 1;
  };
  const sendAgain = (page: number) => {
    sender.add(page, false);
    sender.flush(PURPOSE.PASS, 2);
  };
  const push = (...pages: readonly number[]) => {
    for (const page of pages) sender.add(page, true);
    const sizes: number[] = [];
    for (let size; (size = sender.flush(PURPOSE.PUSH, 0)) > 0;) sizes.push(size);
    return sizes;
  };
  return { ram, bytes, tables, frames, change, sendAgain, push };
}

/** One more than go as a delta. */
const nearlyAll = Array.from({ length: BLOCKS_PER_PAGE - 3 }, (_, block) => block);

function blocksOf(bytes: Uint8Array, page: number, ...blocks: readonly number[]): Uint8Array[] {
  return blocks.map((block) => {
    const start = page * PAGE_BYTES + block * BLOCK_BYTES;
    return bytes.slice(start, start + BLOCK_BYTES);
  });
}

function typesOf(frames: readonly Frame[]): number[] {
  return frames.map(({ type }) => type);
}

test("of a page that was sent before the blocks leave that have changed, with the checksum of all of it", () => {
  const { frames, change, push, tables, bytes } = sentBefore();
  change(3, 0, 1, 14, 15);
  change(5, 4);
  const sizes = push(3, 5);
  const [frame] = frames;
  assert.ok(frame !== undefined && frames.length === 1);
  assert.equal(frame.type, FRAME_TYPES.DELTAS);
  assert.deepEqual(sizes, [16 + frame.body.byteLength]);
  const head = readDeltasHead(frame.body, frame.body.byteLength);
  const deltas = readDeltas(frame.body.subarray(DELTAS_HEAD_BYTES), head, PAGE_COUNT);
  assert.deepEqual(
    deltas.map(({ page, blocks, low, high }) => [page, blocks, low, high]),
    [3, 5].map((page) => [
      page,
      page === 3 ? 0b1100_0000_0000_0011 : 0b1_0000,
      tables.checksums[page * 2],
      tables.checksums[page * 2 + 1],
    ]),
  );
  const contents = frame.body.subarray(DELTAS_HEAD_BYTES + head.tableBytes);
  const expected = blocksOf(bytes, 3, 0, 1, 14, 15).concat(blocksOf(bytes, 5, 4));
  assert.deepEqual(Buffer.from(contents), Buffer.concat(expected));
  const { counters } = tables;
  assert.deepEqual(
    [counters.read("deltaPages"), counters.read("deltaBytes"), counters.read("stageThreePages")],
    [2, 5 * BLOCK_BYTES, 0],
  );
  assert.equal(tables.mostSendsOfOnePage(), 2);
});

test("a frame of deltas has nothing of the one before it", () => {
  const { frames, change, push, bytes } = sentBefore();
  change(3, 5);
  push(3);
  // Twice, so that its block is not like that of the other.
  change(4, 6);
  change(4, 6);
  push(4);
  const [, frame] = frames;
  assert.equal(frame?.body.byteLength, DELTAS_HEAD_BYTES + 16 + BLOCK_BYTES);
  const contents = frame.body.slice(-BLOCK_BYTES);
  assert.deepEqual(Buffer.from(contents), Buffer.concat(blocksOf(bytes, 4, 6)));
});

test("deltas and other pages that are added together leave in a frame of each kind, and none is left behind", () => {
  const { frames, change, push } = sentBefore();
  change(1, 2);
  change(2, ...nearlyAll);
  assert.equal(push(1, 2, 4).length, 2);
  assert.deepEqual(typesOf(frames), [FRAME_TYPES.PAGES, FRAME_TYPES.DELTAS]);
});

test("a page that was never sent, or came torn, or of which nearly all has changed, goes whole", () => {
  const { frames, change, push, tables } = sentBefore();
  change(1, 2);
  tables.resend.claim(1);
  change(2, ...nearlyAll);
  change(3, 1);
  tables.sends[3] = 0;
  push(1, 2, 3);
  assert.deepEqual(typesOf(frames), [FRAME_TYPES.PAGES]);
  assert.equal(tables.counters.read("stageThreePages"), 3);
});

test("a page that had not been written for long when it was sent goes whole, however little has changed", () => {
  const { frames, change, push } = sentBefore();
  change(0, 2);
  change(COLD_PAGES, 2);
  assert.equal(push(0, COLD_PAGES).length, 2);
  assert.deepEqual(typesOf(frames), [FRAME_TYPES.PAGES, FRAME_TYPES.DELTAS]);
});

test("a block of zeroes is not taken for one that was never noted", () => {
  const { frames, bytes, push } = sentBefore();
  bytes.fill(0, 0, PAGE_BYTES - BLOCK_BYTES);
  push(0);
  assert.deepEqual(typesOf(frames), [FRAME_TYPES.PAGES]);
});

test("a page that is sent again in a round goes as a delta after that, whenever it was written", () => {
  const { frames, change, push, sendAgain } = sentBefore();
  change(0, 2);
  sendAgain(0);
  change(0, 3);
  push(0);
  assert.deepEqual(typesOf(frames), [FRAME_TYPES.PAGES, FRAME_TYPES.DELTAS]);
});

test("a page that was sent as zero and is not any more goes whole", () => {
  const { frames, bytes, push } = sentBefore();
  bytes.fill(0, PAGE_BYTES, 2 * PAGE_BYTES);
  push(1);
  bytes[PAGE_BYTES] = 1;
  push(1);
  assert.deepEqual(typesOf(frames), [FRAME_TYPES.PAGES, FRAME_TYPES.PAGES]);
});

for (const choice of [{ delta: false }, { checksums: false }]) {
  test(`with ${JSON.stringify(choice)} every page goes whole`, () => {
    const { frames, change, push } = sentBefore(choice);
    change(1, 2);
    push(1);
    assert.deepEqual(typesOf(frames), [FRAME_TYPES.PAGES]);
  });
}
