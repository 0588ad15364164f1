import assert from "node:assert/strict";
import { test } from "node:test";
import { Pacer } from "../../../src/guest/pacer.js";

/** Does all that it may in slices of `sliceMs`, and sleeps where it may do nothing; returns how much that was. */
function run(pacer: Pacer, time: { nowMs: number }, ms: number, sliceMs: number): number {
  let done = 0;
  for (const endMs = time.nowMs + ms; time.nowMs < endMs;) {
    const allowed = pacer.allowance();
    pacer.spend(allowed);
    done += allowed;
    // No sleep is shorter than what a clock can tell.
    time.nowMs += allowed > 0 ? sliceMs : Math.max(0.001, pacer.delayMs());
  }
  return done;
}

function paced(rate: number | undefined) {
  const time = { nowMs: 5000 };
  return { time, pacer: new Pacer(rate, { nowMs: () => time.nowMs }) };
}

test("a paced vCPU does what its rate says, however long its slices are", () => {
  for (const rate of [10, 1000, 123_456]) {
    for (const sliceMs of [0.1, 1, 7]) {
      const { pacer, time } = paced(rate);
      const done = run(pacer, time, 10_000, sliceMs);
      const expected = rate * 10;
      assert.ok(Math.abs(done - expected) <= rate * 0.01 + 2, `${String(done)} at ${String(rate)}`);
    }
  }
});

test("a vCPU that stood still catches up on ten milliseconds and no more", () => {
  const { pacer, time } = paced(1000);
  run(pacer, time, 100, 1);
  time.nowMs += 60_000;
  assert.equal(pacer.allowance(), 10);
});

test("a vCPU that was paused catches up on nothing", () => {
  const { pacer, time } = paced(1000);
  pacer.spend(pacer.allowance());
  time.nowMs += 60_000;
  pacer.restart();
  assert.equal(pacer.allowance(), 0);
  time.nowMs += 3;
  assert.equal(pacer.allowance(), 3);
});

test("the first operation of a paced vCPU is due at once", () => {
  const { pacer } = paced(1);
  assert.equal(pacer.allowance(), 1);
  pacer.spend(1);
  assert.equal(pacer.delayMs(), 1000);
});

test("a vCPU that has nothing to do sleeps exactly until it has", () => {
  const { pacer, time } = paced(200);
  pacer.spend(pacer.allowance());
  assert.equal(pacer.allowance(), 0);
  assert.equal(pacer.delayMs(), 5);
  time.nowMs += 2;
  pacer.allowance();
  assert.equal(pacer.delayMs(), 3);
  time.nowMs += 3;
  assert.equal(pacer.allowance(), 1);
  assert.equal(pacer.delayMs(), 0);
});

test("a vCPU without a rate is never held back", () => {
  const { pacer } = paced(undefined);
  assert.equal(pacer.allowance(), Number.POSITIVE_INFINITY);
  pacer.spend(1e9);
  assert.equal(pacer.allowance(), Number.POSITIVE_INFINITY);
  assert.equal(pacer.delayMs(), 0);
});
