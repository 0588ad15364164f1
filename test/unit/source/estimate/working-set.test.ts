import assert from "node:assert/strict";
import { test } from "node:test";
import { WorkingSet } from "../../../../src/source/estimate/working-set.js";

const counts = [
  { windowMs: 400, pages: 200 },
  { windowMs: 100, pages: 100 },
];

test("working set lies on straight lines between what was measured, and begins with nothing", () => {
  const set = new WorkingSet(counts, 1000);
  assert.deepEqual(
    [0, 50, 100, 250, 400].map((ms) => set.within(ms)),
    [0, 50, 100, 150, 200],
  );
});

test("working set goes on as it last grew, but never beyond the guest", () => {
  const set = new WorkingSet(counts, 300);
  assert.equal(set.within(550), 250);
  assert.equal(set.within(10_000), 300);
});

test("working set of a longer time is never smaller, whatever was measured", () => {
  const set = new WorkingSet([...counts, { windowMs: 800, pages: 150 }], 1000);
  assert.equal(set.within(800), 200);
  assert.equal(set.within(5000), 200);
});

test("working set of a guest of which nothing is known is empty", () => {
  const set = new WorkingSet([], 1000);
  assert.equal(set.within(100), 0);
  assert.equal(set.meanWithin(100), 0);
});

test("working set's mean is the area below the lines over the time", () => {
  const set = new WorkingSet(counts, 1000);
  assert.equal(set.meanWithin(0), 0);
  assert.equal(set.meanWithin(100), 50);
  // A triangle of 100 × 100 / 2, and 300 ms at 150 on average.
  assert.equal(set.meanWithin(400), (5000 + 45_000) / 400);
});

test("working set's mean between two times is that of the lines between them", () => {
  const set = new WorkingSet(counts, 1000);
  assert.equal(set.meanBetween(100, 400), 150);
  // 50 ms at 75 on average, and 150 ms at 125.
  assert.equal(set.meanBetween(50, 250), (50 * 75 + 150 * 125) / 200);
  assert.equal(set.meanBetween(250, 250), 150);
});
