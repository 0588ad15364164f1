import assert from "node:assert/strict";
import { test } from "node:test";
import { PageBitmap } from "../../../src/memory/bitmap.js";
import { PushOrder } from "../../../src/source/push-order.js";

const PAGE_COUNT = 64;

/** Dirty pages, each with the epoch of its last write. */
function orderOf(stampOf: Readonly<Record<number, number>>, order: "recent" | "ascending") {
  const dirty = PageBitmap.empty(PAGE_COUNT);
  const stamps = new Int32Array(PAGE_COUNT);
  for (const [page, stamp] of Object.entries(stampOf)) {
    dirty.add(Number(page));
    stamps[Number(page)] = stamp;
  }
  return new PushOrder(dirty, stamps, order);
}

/** Batches of one page, so that nothing is sorted within them. */
function all(order: PushOrder, isQueued: (page: number) => boolean = () => false): number[] {
  const pages: number[] = [];
  for (;;) {
    const [page] = order.nextBatch(1, isQueued);
    if (page === undefined) return pages;
    pages.push(page);
  }
}

const none = () => false;

test("the pages written last are pushed first, newest first, then the others ascending", () => {
  const order = orderOf({ 9: 10, 3: 11, 40: 100, 5: 99, 6: 100, 50: 12 }, "recent");
  assert.deepEqual(all(order), [6, 40, 5, 3, 9, 50]);
});

test("pushing goes on from the last fault, and comes back for what lies before it", () => {
  const order = orderOf({ 1: 1, 2: 1, 3: 1, 20: 1, 21: 1, 22: 1, 63: 100 }, "recent");
  assert.deepEqual([...order.nextBatch(2, none)], [1, 63]);
  order.faulted(20);
  assert.deepEqual([...order.nextBatch(2, none)], [20, 21]);
  order.faulted(60);
  assert.deepEqual(all(order), [2, 3, 22]);
});

test("what is queued already is not proposed, and nothing is proposed twice", () => {
  const order = orderOf({ 1: 1, 2: 1, 3: 1, 4: 9 }, "recent");
  assert.deepEqual([...order.nextBatch(2, (page) => page === 4)], [1, 2]);
  order.faulted(0);
  order.faulted(3);
  assert.deepEqual(all(order), [3]);
  assert.deepEqual(all(order), []);
});

test("pages of a batch ascend, so that neighbours share a run", () => {
  const order = orderOf({ 7: 3, 8: 1, 30: 4, 9: 2 }, "recent");
  assert.deepEqual([...order.nextBatch(4, none)], [7, 8, 9, 30]);
});

test("in ascending order the time of a write does not matter", () => {
  const order = orderOf({ 9: 10, 3: 11, 40: 100, 5: 99 }, "ascending");
  assert.deepEqual(all(order), [3, 5, 9, 40]);
});
