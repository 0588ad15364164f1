import assert from "node:assert/strict";
import { test } from "node:test";
import { lossesOf, mispredictionsOf } from "../../../scripts/evaluate/losses.js";
import { duel, point, run, way } from "./samples.js";

test("losses name the furthest place for each metric, and nothing where nobody was ahead", () => {
  assert.deepEqual(lossesOf([duel({ totalMs: 2000, pages: 2000, downtimeMs: 20 }, {})]), []);
  const losses = lossesOf([
    duel({ totalMs: 990 }, { totalMs: 1000 }, { name: "near" }),
    duel({ totalMs: 500 }, { totalMs: 1000 }, { name: "far" }),
  ]);
  assert.equal(losses.length, 1);
  assert.match(losses[0]!, /^In total time .* 2 times; furthest at far, .* 100 % above it\.$/);
});

test("losses name blocktime and the time to full speed, in milliseconds", () => {
  const pre = { blocktimeMs: 0, recoveryMs: 30 };
  const service = (recoveryMs: number | null) =>
    lossesOf([duel(pre, { blocktimeMs: 500, recoveryMs }, { part: "degradation", name: "kv" })]);
  const [blocktime, recovery] = service(400);
  assert.match(blocktime!, /^In blocktime .* once; furthest at kv, .* 500\.0 ms above it\.$/);
  assert.match(recovery!, /^In time to 90 % .* furthest at kv, .* 370\.0 ms above it\.$/);
  assert.match(service(null)[1]!, /in most runs was not there while it was watched\.$/);
});

test("the worst misprediction is named for each thing that is predicted, too much or too little", () => {
  const at = (name: string, totalMs: number, pages: number) =>
    point({
      name,
      ways: [
        way("three-stage", [run({ totalMs, pages, downtimeMs: 4 })], {
          predictedAs: "three-stage",
        }),
        way("three-stage (paper)", [run({ totalMs: 9000 })]),
      ],
    });
  const [sentence] = mispredictionsOf([at("good", 1200, 1000), at("slow", 2200, 505)]);
  assert.match(
    sentence!,
    /total time by 2\.0 × \(three-stage at slow: 1\.10 s said, 2\.20 s found\)/,
  );
  assert.match(
    sentence!,
    /pages by 2\.0 × \(three-stage at slow: 1010 pages said, 505 pages found\)/,
  );
  assert.deepEqual(mispredictionsOf([point()]), []);
});
