import assert from "node:assert/strict";
import { test } from "node:test";
import { Throttle } from "../../../src/guest/throttle.js";
import { GUEST_WORDS } from "../../../src/memory/words.js";

/** Runs in slices of `sliceMs` until `endMs`, with sleeps that are `lateMs` late; returns the time run. */
function run(throttle: Throttle, endMs: number, sliceMs: number, lateMs: number): number {
  let ranMs = 0;
  for (let nowMs = 0; nowMs < endMs;) {
    nowMs += sliceMs;
    ranMs += sliceMs;
    const owedMs = throttle.owed(sliceMs);
    if (owedMs === 0) continue;
    nowMs += owedMs + lateMs;
    throttle.paid(owedMs + lateMs);
  }
  return ranMs;
}

function throttled(percent: number) {
  const words = new Int32Array(new SharedArrayBuffer(64));
  words[GUEST_WORDS.THROTTLE] = percent;
  return { words, throttle: new Throttle(words) };
}

test("a throttled vCPU runs for the share of time that is left to it, however late it wakes", () => {
  for (const percent of [1, 20, 50, 90, 99]) {
    for (const [sliceMs, lateMs] of [
      [0.1, 0],
      [0.1, 0.4],
      [3, 0.1],
    ] as const) {
      const ranMs = run(throttled(percent).throttle, 10_000, sliceMs, lateMs);
      const expected = 10_000 * (1 - percent / 100);
      const told = `${String(ranMs)} ms at ${String(percent)} %`;
      assert.ok(Math.abs(ranMs - expected) <= expected * 0.02 + sliceMs * 2, told);
    }
  }
});

test("a vCPU that is not throttled owes nothing, and forgets what it owed", () => {
  const { words, throttle } = throttled(50);
  assert.equal(throttle.owed(0.5), 0, "too little to sleep for");
  words[GUEST_WORDS.THROTTLE] = 0;
  assert.equal(throttle.owed(100), 0);
  words[GUEST_WORDS.THROTTLE] = 50;
  assert.equal(throttle.owed(0.9), 0);
  assert.equal(throttle.owed(0.5), 1.4);
});
