import assert from "node:assert/strict";
import { test } from "node:test";
import type { PointResult } from "../../../scripts/evaluate/results.js";
import { verdictsOf } from "../../../scripts/evaluate/verdicts.js";
import { duel, evaluation, point, run, way } from "./samples.js";

function metOf(points: readonly PointResult[]): readonly (boolean | null)[] {
  return verdictsOf(evaluation(points)).map(({ met }) => met);
}

test("no bar is met or missed where nothing was measured", () => {
  assert.deepEqual(metOf([]), Array(7).fill(null));
  const alone = point({ ways: [way("three-stage", [run()])] });
  const [time, pages] = metOf([alone]);
  assert.deepEqual([time, pages], [null, null]);
});

test("the bar for total time is met by the reduction, or by the limit", () => {
  const time = (pre: number, ours: number) => metOf([duel({ totalMs: pre }, { totalMs: ours })])[0];
  assert.equal(time(4000, 2000), true);
  assert.equal(time(1200, 1100), true);
  assert.equal(time(1500, 1400), false);
});

test("the bar for total time says how near the limit is near enough, and judges the worst size", () => {
  const sizes = [1000, 1160].map((totalMs, at) =>
    duel({ totalMs: 1200 }, { totalMs }, { name: `size ${String(at)}` }),
  );
  const { bar, found, met } = verdictsOf(evaluation(sizes))[0]!;
  assert.match(bar, /or at every size at most 1\.15 × the limit$/);
  assert.match(found, /; at most 1\.16 × \(size 1\)$/);
  assert.equal(met, false);
});

test("the bars for pages hold the low and the high ratio apart", () => {
  const points = [
    duel({ pages: 1300 }, { pages: 1000 }),
    duel({ pages: 1600 }, { pages: 1000 }, { ratio: 1 }),
    // Neither bar counts what lies between.
    duel({ pages: 1000 }, { pages: 1000 }, { ratio: 0.6 }),
  ];
  const [, low, high, most] = metOf(points);
  assert.deepEqual([low, high, most], [true, true, true]);
  assert.equal(metOf([duel({ pages: 1300 }, { pages: 1000 }, { ratio: 1 })])[2], false);
});

test("the bars for pages say what sending each page once would bring", () => {
  const sizes = [1250, 2000].map((pages) => duel({ pages }, { pages: 1010 }));
  assert.match(verdictsOf(evaluation(sizes))[1]!.found, /^−34\.3 %; .* would be −35\.0 %$/);
});

test("the bar for all pages judges figures and sweep, and prints the worst point", () => {
  const most = (points: readonly PointResult[]) => verdictsOf(evaluation(points))[3]!;
  const sweep = (pages: number) =>
    duel({}, { pages }, { part: "sweep", name: "the worst", ratio: 2 });
  const good = [duel({}, { pages: 1000 }), sweep(1080)];
  assert.deepEqual([most(good).met, most(good).found], [true, "at most 1.08 × (the worst)"]);
  assert.equal(most([duel({}, { pages: 1000 }), sweep(1101)]).met, false);
  assert.equal(most([duel({ pages: 9000 }, { pages: 1101 })]).met, false);
  // Parts of the method that are off, and guests for other bars, are not what was promised.
  const others = (["ablation", "degradation"] as const).map((part) =>
    duel({}, { pages: 9000 }, { part }),
  );
  assert.equal(most([...good, ...others]).met, true);
});

test("the bar for downtime names each point that is above pre-copy's", () => {
  const points = [
    duel({ downtimeMs: 20 }, { downtimeMs: 10 }),
    duel({ downtimeMs: 5 }, { downtimeMs: 10 }, { part: "sweep", name: "the bad one" }),
  ];
  const verdict = verdictsOf(evaluation(points))[4]!;
  assert.equal(verdict.met, false);
  assert.match(verdict.found, /^1 of 2 points; above at the bad one \(10\.0 against 5\.0 ms\)$/);
});

test("the bar for the limit counts up to ratio 1 and not beyond", () => {
  const near = duel({}, { totalMs: 1150 }, { ratio: 1 });
  const far = duel({}, { totalMs: 3000 }, { ratio: 1.5 });
  const { found, met } = verdictsOf(evaluation([duel({}, {}), near, far]))[5]!;
  assert.deepEqual([met, found], [true, "2 of 2 points; at most 1.15 × (memtester, made up)"]);
  const above = verdictsOf(
    evaluation([near, duel({}, { totalMs: 1160 }, { name: "far off" })]),
  )[5]!;
  assert.deepEqual([above.met, above.found], [false, "1 of 2 points; above at 1.16 × (far off)"]);
  assert.equal(metOf([duel({}, { totalMs: 1151 }, { ratio: 1 })])[5], false);
});

test("the bar for waiting adds what faults block to the downtime", () => {
  const service = (blocktimeMs: number) =>
    point({
      part: "degradation",
      guest: "kv",
      ratio: 1,
      ways: [
        way("pre-copy", [run({ downtimeMs: 30, blocktimeMs: 0 })]),
        way("post-copy", [run({ downtimeMs: 5, blocktimeMs: 100 })]),
        way("three-stage", [run({ downtimeMs: 5, blocktimeMs })]),
      ],
    });
  assert.equal(metOf([service(20)])[6], true);
  assert.equal(metOf([{ ...service(20), ratio: null }])[6], null);
  assert.equal(metOf([service(26)])[6], false);
});
