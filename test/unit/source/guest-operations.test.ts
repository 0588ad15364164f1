import assert from "node:assert/strict";
import { test } from "node:test";
import {
  acrossHosts,
  guestOperations,
  spansOf,
  throughputChart,
} from "../../../src/source/guest-operations.js";

/** Ten operations a millisecond; the third bin ends 20 ms late, and the guest stands from 65 ms on. */
const here = spansOf([
  [0, 100],
  [10, 100],
  [20, 300],
  [50, 100],
  [60, 50],
  [90, 0],
]);
/** It goes on at 93 ms; the destination watches from 88 ms on. */
const there = spansOf([
  [88, 50],
  [98, 100],
]);
const times = { startMs: 20, endMs: 98, completedMs: 98, pauseMs: 64.5, stoodMs: 65 };
const moved = { ...times, firstOperationMs: 93 };
const spans = acrossHosts(here, there, moved);

test("a bin that was closed late counts for as long as it was", () => {
  assert.deepEqual(throughputChart(spans, 65).slice(0, 5), [
    [-65, 10_000],
    [-55, 10_000],
    [-45, 10_000],
    [-15, 10_000],
    [-5, 10_000],
  ]);
});

test("the time in which the guest stood has bins without operations, up to its first operation", () => {
  assert.deepEqual(throughputChart(spans, 65).slice(5), [
    [0, 0],
    [10, 0],
    [20, 0],
    [28, 10_000],
    [33, 10_000],
  ]);
});

test("a standstill of which nobody saw the end has no bins", () => {
  const before = throughputChart(spans, 65).slice(0, 5);
  assert.deepEqual(throughputChart(acrossHosts(here, [], times), 65), before);
  const untilFirst = throughputChart(acrossHosts(here, [], moved), 65);
  assert.deepEqual(untilFirst, [...before, [0, 0], [10, 0], [20, 0]]);
});

test("a standstill of an hour does not crowd out what was seen before and after it", () => {
  const firstOperationMs = 3_600_000;
  const after = spansOf([[firstOperationMs, 100]]);
  const chart = throughputChart(acrossHosts(here, after, { stoodMs: 65, firstOperationMs }), 65);
  assert.ok(chart.length < 60_000, String(chart.length));
  assert.deepEqual(chart[0], [-65, 10_000]);
  assert.equal(chart.at(-1)![1], 10_000);
});

test("the guest's rates are of the times before, during and after the migration", () => {
  const { before, during, after } = guestOperations(spans, moved);
  assert.equal(before, 10_000);
  // 500 operations in the 78 ms from 20 on.
  assert.equal(during, 500 / 0.078);
  assert.equal(after, 10_000);
});

test("the rate of a migration that ends with its pause counts the pause", () => {
  const { during } = guestOperations(spans, { ...moved, completedMs: 93 });
  assert.equal(during, 450 / 0.073);
});

test("the longest gap lies between operations, not between bins that were closed late", () => {
  const idle = spansOf([
    [0, 10],
    [10, 0],
    [45, 10],
  ]);
  assert.equal(guestOperations(idle, { startMs: 0, endMs: 50 }).longestGapMs, 35);
});

test("the longest gap has all of the downtime, though the destination's first bin began before the first operation", () => {
  assert.equal(guestOperations(spans, moved).longestGapMs, 28.5);
});

test("the longest gap counts what came after the guest's last operation", () => {
  const stuck = spansOf([
    [0, 10],
    [10, 0],
    [20, 0],
    [80, 0],
  ]);
  assert.equal(guestOperations(stuck, { startMs: 0, endMs: 50 }).longestGapMs, 80);
});

test("of a guest that nobody watched nothing is said", () => {
  assert.deepEqual(guestOperations([], moved), {
    before: null,
    during: null,
    after: null,
    longestGapMs: null,
  });
});
