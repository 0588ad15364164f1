import assert from "node:assert/strict";
import { test } from "node:test";
import { sweepFindings, stopReasonOf } from "../../../scripts/evaluate/sweep-findings.js";
import { evaluation, point, run, way } from "./samples.js";

/** The limit is 1000 ms. */
function at(ratio: number, pre: number, ours: number, stopReasons = ["few-pages"]) {
  const runs = stopReasons.map((stopReason) => run({ totalMs: pre, stopReason }));
  const ways = [way("pre-copy", runs), way("three-stage", [run({ totalMs: ours })])];
  return point({ part: "sweep", ratio, ways });
}

test("the gap begins where every higher ratio has it, for the limit and for three-stage each", () => {
  const sweep = [at(2, 4000, 1000), at(0.25, 3000, 2900), at(0.5, 1100, 1050)];
  const [gap] = sweepFindings(evaluation([...sweep, at(1, 2000, 1100), at(0.75, 1600, 1100)]));
  assert.match(gap!, /the limit lies .* below pre-copy from ratio 0\.75 on;/);
  assert.match(gap!, /three-stage is so far below it from ratio 1 on, post-copy nowhere\.$/);
});

test("pre-copy stops converging at the lowest ratio at which most runs had pages left", () => {
  const sweep = [
    at(0.5, 1000, 1000, ["few-pages", "grew", "few-pages"]),
    at(1, 1000, 1000, ["grew", "max-rounds", "few-pages"]),
    at(2, 1000, 1000, ["grew", "grew", "grew"]),
  ];
  assert.match(sweepFindings(evaluation(sweep))[1]!, /^Pre-copy stops converging at ratio 1:/);
  assert.match(sweepFindings(evaluation(sweep.slice(0, 1)))[1]!, /^Pre-copy converged at every/);
});

test("the reason for which passes ended is the most frequent one, and none where there was no choice", () => {
  const runs = ["few-pages", "grew", "grew"].map((stopReason) => run({ stopReason }));
  assert.deepEqual(stopReasonOf(way("pre-copy", runs)), { reason: "grew", count: 2 });
  assert.equal(stopReasonOf(way("post-copy", [run()])), undefined);
});

test("of a sweep that was not measured nothing is found", () => {
  assert.deepEqual(sweepFindings(evaluation([point()])), []);
});
