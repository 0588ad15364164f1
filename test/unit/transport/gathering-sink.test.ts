import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { GatheringSink } from "../../../src/transport/gathering-sink.js";
import type { InPlaceSink } from "../../../src/transport/in-place.js";

/** Wants its bytes in places of given sizes, round and round, and keeps what came to each. */
class Places implements InPlaceSink {
  readonly came: number[] = [];
  private place: Uint8Array;
  private filledBytes = 0;
  private turn = 0;

  constructor(private readonly sizes: readonly number[]) {
    this.place = new Uint8Array(sizes[0]!);
  }

  next(): Uint8Array {
    return this.place.subarray(this.filledBytes);
  }

  filled(byteCount: number): void {
    this.came.push(...this.place.subarray(this.filledBytes, this.filledBytes + byteCount));
    this.filledBytes += byteCount;
    if (this.filledBytes < this.place.byteLength) return;
    this.turn += 1;
    this.place = new Uint8Array(this.sizes[this.turn % this.sizes.length]!);
    this.filledBytes = 0;
  }
}

test("GatheringSink gives the inner sink every byte in order, however they come", () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1 });
  fc.assert(
    fc.property(sizes, fc.array(fc.uint8Array({ minLength: 1 })), (places, reads) => {
      const inner = new Places(places);
      const sink = new GatheringSink(inner);
      for (const read of reads) {
        sink.next().set(read);
        sink.filled(read.byteLength);
      }
      assert.deepEqual(
        inner.came,
        reads.flatMap((read) => [...read]),
      );
    }),
  );
});
