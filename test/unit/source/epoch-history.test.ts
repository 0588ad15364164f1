import assert from "node:assert/strict";
import { test } from "node:test";
import { EpochHistory } from "../../../src/source/epoch-history.js";

/** Ticks of 20 ms, as those of a heat clock. */
const TICK_MS = 20;

/** An epoch for each tick from 0 to before `ticks`; epoch 1 is the first. */
function historyOf(ticks: number): EpochHistory {
  const history = new EpochHistory();
  for (let tick = 0; tick < ticks; tick += 1) history.note(tick + 1, tick * TICK_MS);
  return history;
}

test("the oldest epoch since a time is the first that was opened then or later", () => {
  const history = historyOf(100);
  assert.equal(history.firstSince(-1), 1);
  assert.equal(history.firstSince(40), 3);
  assert.equal(history.firstSince(41), 4);
  assert.equal(history.firstSince(99 * TICK_MS), 100);
  assert.equal(history.firstSince(99 * TICK_MS + 1), Infinity);
  assert.deepEqual(
    [history.knows(-1), history.knows(0), historyOf(0).knows(0)],
    [false, true, false],
  );
});

test("a history of a day is small, exact for the last while, and still knows roughly what was hours ago", () => {
  const ticks = (24 * 3600 * 1000) / TICK_MS;
  const history = historyOf(ticks);
  assert.ok(history.entries().length <= 4096);
  const nowMs = ticks * TICK_MS;
  for (let agoMs = TICK_MS; agoMs <= 40_000; agoMs += TICK_MS) {
    assert.equal(history.firstSince(nowMs - agoMs), ticks + 1 - agoMs / TICK_MS);
  }
  for (let agoMs = 60_000; agoMs < 36_000_000; agoMs = Math.round(agoMs * 1.01)) {
    const found = (ticks + 1 - history.firstSince(nowMs - agoMs)) * TICK_MS;
    // An epoch that was opened later, never one that was opened before.
    assert.ok(found <= agoMs && found > 0.98 * agoMs, `${String(found)} ms for ${String(agoMs)}`);
  }
  const epochs = history.entries().map(({ epoch }) => epoch);
  assert.deepEqual(
    epochs,
    epochs.toSorted((a, b) => a - b),
  );
});
