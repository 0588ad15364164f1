import { BLOCK_BYTES } from "../../../src/protocol/deltas.js";
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type FrameHandler, PageReceiver } from "../../../src/dest/page-receiver.js";
import {
  encodeWords,
  FRAME_TYPES,
  PageTable,
  PURPOSE,
  RUN_KIND,
} from "../../../src/protocol/pages.js";
import { failsWith } from "../../failures.js";
import "../../seed.js";

const PAGE_COUNT = 64;

/** Frames of a connection: each has some pages, or none and then it is a barrier. */
function stream(frames: readonly (readonly number[])[]): Buffer {
  return Buffer.concat(
    frames.flatMap((pages, sequence) => {
      if (pages.length === 0) return [encodeWords(FRAME_TYPES.BARRIER, sequence, [sequence])];
      const table = new PageTable();
      for (const page of pages) {
        table.add(page, page % 5 === 0 ? RUN_KIND.ZERO : RUN_KIND.DATA, page, -page);
      }
      const contents = pages.flatMap((page) => (page % 5 === 0 ? [] : [Buffer.alloc(4096, page)]));
      return [table.bytes(PURPOSE.PUSH, 0, sequence), ...contents];
    }),
  );
}

/** Takes frames in, and writes down what came. */
class Log implements FrameHandler {
  readonly pageCount = PAGE_COUNT;
  readonly lines: string[] = [];
  private readonly memory = Buffer.alloc(PAGE_COUNT * 4096);
  private readonly blocks = Buffer.alloc(PAGE_COUNT * 4096);

  place({ runs }: Parameters<FrameHandler["place"]>[0]): Uint8Array[] {
    return runs
      .filter(({ kind }) => kind === RUN_KIND.DATA)
      .map(({ firstPage, pageCount }) =>
        this.memory.subarray(firstPage * 4096, (firstPage + pageCount) * 4096),
      );
  }

  accept({ runs, checksums }: Parameters<FrameHandler["accept"]>[0]): void {
    const pages = runs.flatMap(({ firstPage, pageCount, kind }) =>
      Array.from({ length: pageCount }, (_, at) => {
        const page = firstPage + at;
        const bytes = this.memory.subarray(page * 4096, (page + 1) * 4096);
        const isRight = kind === RUN_KIND.ZERO || bytes.every((byte) => byte === page);
        return `${String(page)}${isRight ? "" : " wrong"}`;
      }),
    );
    this.lines.push(`pages ${pages.join(" ")} sums ${[...checksums].join(" ")}`);
  }

  placeDeltas({ blocks }: Parameters<FrameHandler["placeDeltas"]>[0]): Uint8Array {
    return this.blocks.subarray(0, blocks * BLOCK_BYTES);
  }

  acceptDeltas({ deltas, blocks }: Parameters<FrameHandler["acceptDeltas"]>[0]): void {
    const pages = deltas.map((it) => [it.page, it.blocks, it.low, it.high].join(" "));
    const bytes = this.blocks.subarray(0, blocks * BLOCK_BYTES);
    this.lines.push(`deltas ${pages.join(", ")} blocks ${[...new Set(bytes)].join(" ")}`);
  }

  barrier(pass: number): void {
    this.lines.push(`barrier ${String(pass)}`);
  }
}

/** Feeds `bytes` in reads of these sizes, as a kernel would: never more than there is room for. */
function feed(receiver: PageReceiver, bytes: Uint8Array, sizes: readonly number[]): void {
  let at = 0;
  for (let read = 0; at < bytes.byteLength; read += 1) {
    const room = receiver.next();
    assert.ok(room.byteLength > 0, "an empty buffer would look like the end of the connection");
    const size = Math.min(sizes[read % sizes.length] ?? 1, room.byteLength, bytes.byteLength - at);
    room.set(bytes.subarray(at, at + size));
    receiver.filled(size);
    at += size;
  }
}

const frames = fc.array(fc.uniqueArray(fc.nat(PAGE_COUNT - 1), { maxLength: 6 }), { maxLength: 5 });
const sizes = fc.array(
  fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 9000 })),
  {
    minLength: 1,
    maxLength: 8,
  },
);

test("a receiver sees the same frames however their bytes are split", () => {
  fc.assert(
    fc.property(frames, sizes, (all, reads) => {
      const [whole, split] = [new Log(), new Log()];
      feed(new PageReceiver(whole, 0), stream(all), [Number.MAX_SAFE_INTEGER]);
      feed(new PageReceiver(split, 0), stream(all), reads);
      assert.deepEqual(split.lines, whole.lines);
      assert.equal(whole.lines.length, all.length);
      assert.equal(
        whole.lines.some((line) => line.includes("wrong")),
        false,
      );
    }),
    { numRuns: 60 },
  );
});

test("a receiver knows at every byte whether it is between frames", () => {
  const bytes = stream([[1, 2, 5], [], [10]]);
  const ends = [[1, 2, 5], [], [10]].map(
    (_, last, all) => stream(all.slice(0, last + 1)).byteLength,
  );
  const receiver = new PageReceiver(new Log(), 0);
  for (let at = 0; at <= bytes.byteLength; at += 1) {
    const isBetween = at === 0 || ends.includes(at);
    assert.equal(receiver.missingBytes === 0, isBetween, `at byte ${String(at)}`);
    if (at < bytes.byteLength) feed(receiver, bytes.subarray(at, at + 1), [1]);
  }
});

test("a receiver refuses a frame that was dropped, repeated or put in another's place", () => {
  const [first, second, third] = [0, 1, 2].map((sequence) =>
    encodeWords(FRAME_TYPES.BARRIER, sequence, [0]),
  ) as [Uint8Array, Uint8Array, Uint8Array];
  for (const order of [
    [second, first],
    [first, first],
    [first, third],
  ]) {
    const receiver = new PageReceiver(new Log(), 0);
    failsWith("FRAME_OUT_OF_ORDER", () => {
      feed(receiver, Buffer.concat(order), [16]);
    });
  }
});
