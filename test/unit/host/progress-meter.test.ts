import assert from "node:assert/strict";
import { test } from "node:test";
import { ProgressMeter } from "../../../src/host/progress-meter.js";
import type { StageProgress } from "../../../src/protocol/progress.js";
import { ManualClock } from "../cli/recording.js";

function progress(changes: Partial<StageProgress>): StageProgress {
  const counts = { pagesDone: 0, pagesTotal: 1000, bytes: 0, faults: 0 };
  return { stage: 1, guestOpsPerSecond: null, ...counts, ...changes };
}

test("ProgressMeter takes rates over the time since the last event, and at first since the beginning", () => {
  const clock = new ManualClock(5000);
  const meter = new ProgressMeter("m1", "outgoing", clock);
  clock.advance(200);
  const first = meter.measure(progress({ pagesDone: 100, bytes: 400_000 }));
  assert.deepEqual([first.bytesPerSecond, first.secondsLeft], [2_000_000, 900 / 500]);
  clock.advance(100);
  const second = meter.measure(progress({ pagesDone: 200, bytes: 800_000 }));
  assert.deepEqual([second.bytesPerSecond, second.secondsLeft], [4_000_000, 800 / 1000]);
});

test("ProgressMeter knows no time left where nothing moves, and none when a stage has just begun", () => {
  const clock = new ManualClock(0);
  const meter = new ProgressMeter("m1", "outgoing", clock);
  const atOnce = meter.measure(progress({ bytes: 10 }));
  assert.deepEqual([atOnce.bytesPerSecond, atOnce.secondsLeft], [0, null]);
  clock.advance(100);
  meter.measure(progress({ pagesDone: 900, bytes: 1000 }));
  clock.advance(100);
  const still = meter.measure(progress({ pagesDone: 900, bytes: 1000 }));
  assert.deepEqual([still.bytesPerSecond, still.secondsLeft], [0, null]);
  clock.advance(100);
  const next = meter.measure(progress({ stage: 3, pagesDone: 5, pagesTotal: 20, bytes: 2000 }));
  assert.deepEqual([next.bytesPerSecond, next.secondsLeft], [10_000, null]);
});
