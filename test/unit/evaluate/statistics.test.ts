import assert from "node:assert/strict";
import { test } from "node:test";
import {
  limitMs,
  recoveryMs,
  reductionPercent,
  spreadOf,
} from "../../../scripts/evaluate/statistics.js";

test("spread has the median, the mean and both ends, in whatever order the runs came", () => {
  const found = { median: 3, mean: 4, least: 1, most: 8, runs: 3 };
  assert.deepEqual(spreadOf([8, 1, 3]), found);
  assert.equal(spreadOf([4, 1, 2, 3])?.median, 2.5);
});

test("spread of nothing is no number", () => {
  assert.equal(spreadOf([]), undefined);
});

test("a reduction is positive below and negative above", () => {
  assert.ok(Math.abs(reductionPercent(63.8, 100) - 36.2) < 1e-9);
  assert.equal(reductionPercent(150, 100), -50);
  assert.equal(reductionPercent(1, 0), 0);
});

test("the limit is the bytes of the pages over the bandwidth", () => {
  assert.equal(limitMs(1000, 4096, 4_096_000), 1000);
  assert.equal(limitMs(0, 4096, 1), 0);
});

/** Bins of 10 ms, from 200 ms before the pause on. */
function bins(speed: (ms: number) => number): [number, number][] {
  return Array.from({ length: 100 }, (_, bin) => {
    const ms = -200 + bin * 10;
    return [ms, speed(ms)];
  });
}

test("recovery counts from the pause to the first 100 ms at 90 % of full speed", () => {
  assert.equal(
    recoveryMs(
      bins(() => 100),
      100,
    ),
    0,
  );
  assert.equal(
    recoveryMs(
      bins((ms) => (ms < 300 ? 0 : 100)),
      100,
    ),
    300,
  );
  // One good bin among bad ones is none.
  assert.equal(
    recoveryMs(
      bins((ms) => (ms % 100 === 0 ? 100 : 50)),
      100,
    ),
    null,
  );
});

test("recovery weighs bins by the time that they last", () => {
  // As an old report has it: the guest stood for 1.7 s, of which only the first bin was known.
  const steady = Array.from({ length: 30 }, (_, bin): [number, number] => [1691 + bin * 10, 100]);
  assert.equal(recoveryMs([[-10, 100], [0, 0], ...steady], 100), 1691);
  // The first bins there are short ones, and the guest is slow for 50 ms after them.
  const uneven = Array.from({ length: 12 }, (_, bin): [number, number] => [bin, 100]);
  const late = [[12, 0], [62, 100], ...steady] as const;
  assert.equal(
    recoveryMs([...uneven, ...late.map(([ms, speed]): [number, number] => [ms, speed])], 100),
    62,
  );
});

test("recovery is unknown where the guest was not watched long enough", () => {
  assert.equal(recoveryMs([], 100), null);
  assert.equal(
    recoveryMs(
      bins((ms) => (ms < 780 ? 0 : 100)),
      100,
    ),
    null,
  );
});
