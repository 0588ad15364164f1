import assert from "node:assert/strict";
import { test } from "node:test";
import { causesOf } from "../../../scripts/evaluate/causes.js";
import type { RunResult } from "../../../scripts/evaluate/results.js";
import { duel, evaluation, point, run, way } from "./samples.js";

const parts = { pauseMs: 0.5, copyMs: 0, collectMs: 1, transferMs: 2, startMs: 6.5 };

test("a downtime above pre-copy's is taken apart for both algorithms", () => {
  const above = duel(
    { downtimeMs: 5, downtimeParts: { ...parts, startMs: 1.5 } },
    { downtimeMs: 10, downtimeParts: parts },
    { name: "the bad one" },
  );
  const good = [20, 10].map((downtimeMs) => ({ downtimeMs, downtimeParts: parts }));
  const met = duel(good[0]!, good[1]!, { name: "the good one" });
  const text = causesOf(evaluation([met, above])).join("\n");
  assert.match(
    text,
    /\| the bad one \| three-stage \| 10\.00 \| 0\.50 \| 0\.00 \| 1\.00 \| 2\.00 \| 6\.50 \|/,
  );
  assert.match(text, /\| the bad one \| pre-copy \| 5\.00 \|.* 1\.50 \|/);
  assert.doesNotMatch(text, /the good one/);
});

test("of a downtime whose parts were not kept nothing is made up", () => {
  const [sentence, ...more] = causesOf(evaluation([duel({ downtimeMs: 5 }, { downtimeMs: 10 })]));
  assert.match(sentence!, /the results do not say\.$/);
  assert.deepEqual(more, []);
});

function waiting(ours: Partial<RunResult>) {
  const service = point({
    part: "degradation",
    guest: "kv",
    name: "kv, busy",
    ratio: 1,
    ways: [
      way("pre-copy", [run({ totalMs: 3000, pages: 2500, downtimeMs: 30, blocktimeMs: 0 })]),
      way("post-copy", [run({ downtimeMs: 5, blocktimeMs: 900 })]),
      way("three-stage", [run({ downtimeMs: 5, blocktimeMs: 100, ...ours })]),
    ],
  });
  return causesOf(evaluation([service])).join("\n");
}

test("too long a wait is explained by dirty pages, faults, and what pre-copy pays for its own", () => {
  const text = waiting({ faults: 400, dirtyPages: 500, faultLatencyUs: 200 });
  assert.match(text, /^At kv, busy: .* 500 pages are dirty at the handover, .* takes 500 ms/);
  assert.match(text, /400 faults .* of 100 ms; at the median latency of 200 µs .* take 80 ms\./);
  assert.match(
    text,
    /30 ms; .* 3\.00 s \(3\.0 × three-stage's\) and sends 2500 pages \(2\.5 ×\)\.$/,
  );
});

test("of dirty pages that go as deltas the link has to carry only what crosses", () => {
  const text = waiting({ dirtyPages: 500, pushedPages: 50 });
  assert.match(text, / 500 pages are dirty at the handover, .* takes 50 ms/);
});

test("what older results do not have is left out of the explanation", () => {
  const text = waiting({});
  assert.match(
    text,
    /^At kv, busy: three-stage has 3 faults with a blocktime of 100 ms\. Pre-copy/,
  );
  assert.doesNotMatch(text, /NaN|undefined|dirty/);
  assert.equal(waiting({ blocktimeMs: 1 }), "");
});
