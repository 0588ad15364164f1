import assert from "node:assert/strict";
import { test } from "node:test";
import {
  guestOperations,
  spansOf,
  throughputChart,
  until,
} from "../../../src/source/guest-operations.js";

/** Ten operations a millisecond; the third bin ends 20 ms late, and the guest stood from 65 ms on. */
const here = until(
  65,
  spansOf([
    [0, 100],
    [10, 100],
    [20, 300],
    [50, 100],
    [60, 50],
    [90, 0],
  ]),
);
/** It goes on at 70 ms. */
const there = spansOf([
  [70, 100],
  [80, 100],
]);
const migration = { startMs: 20, completedMs: 80 };

test("a bin that was closed late counts for as long as it was", () => {
  assert.deepEqual(throughputChart(here, 65), [
    [-65, 10_000],
    [-55, 10_000],
    [-45, 10_000],
    [-15, 10_000],
    [-5, 10_000],
  ]);
});

test("the guest's rates are of the times before, during and after the migration", () => {
  const { before, during, after } = guestOperations([...here, ...there], migration);
  assert.equal(before, 10_000);
  // 550 operations in the 60 ms from 20 on.
  assert.equal(during, 550 / 0.06);
  assert.equal(after, 10_000);
});

test("the longest gap lies between operations, not between bins that were closed late", () => {
  assert.equal(guestOperations([...here, ...there], migration).longestGapMs, 5);
  const idle = spansOf([
    [0, 10],
    [10, 0],
    [45, 10],
  ]);
  assert.equal(guestOperations(idle, { startMs: 0, completedMs: 50 }).longestGapMs, 35);
});

test("of a guest that nobody watched nothing is said", () => {
  assert.deepEqual(guestOperations([], migration), {
    before: null,
    during: null,
    after: null,
    longestGapMs: null,
  });
});
