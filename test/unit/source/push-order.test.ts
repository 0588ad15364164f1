import assert from "node:assert/strict";
import { test } from "node:test";
import { PageBitmap } from "../../../src/memory/bitmap.js";
import { MigrationTables } from "../../../src/source/migration-tables.js";
import { PushOrder } from "../../../src/source/push-order.js";
import { RateLimit } from "../../../src/source/rate-limit.js";

const PAGE_COUNT = 100;

function tablesOf(...dirty: number[]): MigrationTables {
  const pages = PageBitmap.empty(PAGE_COUNT);
  for (const page of dirty) pages.add(page);
  const tables = MigrationTables.create(PAGE_COUNT, RateLimit.createState());
  tables.planned.assign(pages);
  return tables;
}

test("dirty pages are pushed in ascending order, each once", () => {
  const order = new PushOrder(tablesOf(99, 3, 31, 32, 64));
  assert.deepEqual(order.claim(2), [3, 31]);
  assert.deepEqual(order.claim(2), [32, 64]);
  assert.deepEqual(order.claim(2), [99]);
  assert.deepEqual(order.claim(2), []);
});

test("pushing goes on from the last fault, and comes back for what lies before it", () => {
  const order = new PushOrder(tablesOf(1, 2, 3, 20, 21, 22, 63));
  assert.deepEqual(order.claim(2), [1, 2]);
  order.faulted(21);
  assert.deepEqual(order.claim(2), [21, 22]);
  order.faulted(64);
  assert.deepEqual(order.claim(9), [3, 20, 63]);
  assert.deepEqual(order.claim(9), []);
});

test("what somebody else has claimed is not pushed", () => {
  const tables = tablesOf(1, 2, 3, 4);
  const order = new PushOrder(tables);
  tables.queued.claim(2);
  assert.deepEqual(order.claim(2), [1, 3]);
  assert.deepEqual(order.claim(2), [4]);
});

test("channels that push at once share the pages, and go on where the other is", () => {
  const tables = tablesOf(10, 11, 12, 13, 50);
  const [one, other] = [new PushOrder(tables), new PushOrder(tables)];
  assert.deepEqual(one.claim(2), [10, 11]);
  assert.deepEqual(other.claim(2), [12, 13]);
  one.faulted(50);
  assert.deepEqual(other.claim(2), [50]);
});
