import assert from "node:assert/strict";
import { test } from "node:test";
import { chartsOf, svgOf } from "../../../scripts/evaluate/charts.js";
import { evaluationDocument } from "../../../scripts/evaluate/document.js";
import { PARTS, planOf } from "../../../scripts/evaluate/plan.js";
import { evaluation, point, run, way } from "./samples.js";

const runs = [run({ totalMs: 1000 }), run({ totalMs: 1200 })];
const ways = [
  way("pre-copy", [], { problem: "refused: unknown algorithm" }),
  way("three-stage", runs, { predictedAs: "three-stage" }),
];
const bins = Array.from({ length: 50 }, (_, bin) => [bin * 10 - 200, 1000] as const);
const duel = (pages: number) => [
  way("pre-copy", [run({ pages })]),
  way("three-stage", [run({ pages: 1000 })], { predictedAs: "three-stage" }),
];
const whole = evaluation([
  point({ ways }),
  point({ ways: duel(1300), ratio: 0.6, name: "the middle one" }),
  point({ ways: duel(1600), ratio: 1, name: "the high one" }),
  point({ part: "sweep", guest: "random-writer", ratio: 1, ways }),
  point({
    part: "degradation",
    guest: "kv",
    name: "kv, mix A",
    ratio: null,
    ways: [way("three-stage", runs, { bins })],
  }),
  point({
    part: "degradation",
    guest: "kv",
    name: "kv, mix A, ratio 1",
    ratio: 1,
    ways: [way("three-stage", runs, { bins })],
  }),
  point({ part: "ablation", guest: "kv", ratio: null, ways: [way("no prepull", runs)] }),
]);

test("the document shows the median with its spread, and the prediction beside it", () => {
  const text = evaluationDocument(whole);
  assert.match(text, /\| three-stage \| 1\.10 \(1\.00 – 1\.20\) \| 1\.10 \| 1\.10 \|/);
});

test("the document says why an algorithm has no runs, in its row and in words", () => {
  const text = evaluationDocument(whole);
  assert.match(text, /\| pre-copy \| refused: unknown algorithm \| – \|/);
  assert.match(text, /Runs of pre-copy are missing: refused: unknown algorithm\./);
});

test("the document names build, machine and command of each part, every chart, and no number that is none", () => {
  const text = evaluationDocument(whole);
  for (const part of ["figures", "sweep"]) {
    const row = text.split("\n").find((line) => line.startsWith(`| ${part} |`));
    for (const said of [`build of ${part}`, "a machine that does not exist", `--only ${part}`]) {
      assert.ok(row?.includes(said), `${part}: ${said}`);
    }
  }
  for (const { file } of chartsOf(whole)) assert.ok(text.includes(`(evaluation/${file})`), file);
  assert.doesNotMatch(text, /NaN|undefined|Infinity|\[object/);
});

test("the document says in how many runs a guest was never back at its speed", () => {
  const runs = [40, null, 60].map((recoveryMs) => run({ recoveryMs }));
  const guest = point({ part: "degradation", guest: "kv", ways: [way("three-stage", runs)] });
  const text = evaluationDocument(evaluation([guest]));
  assert.match(text, /\| 60 \(40 – never\); never in 1 of 3 \|/);
});

test("the document says why the passes of pre-copy ended, in how many of the runs", () => {
  const runs = ["grew", "few-pages", "grew"].map((stopReason) => run({ stopReason }));
  const text = evaluationDocument(
    evaluation([point({ part: "sweep", ways: [way("pre-copy", runs)] })]),
  );
  assert.match(text, /\| 1 \(1 – 1\) \| `grew` \(2 of 3\) \|/);
});

test("the document says where its bars come from", () => {
  assert.match(
    evaluationDocument(whole),
    /goals that the project set itself from the paper's figures/,
  );
});

test("what the paper saved stands beside the low and the high ratio, and not beside the middle one", () => {
  const text = evaluationDocument(whole);
  assert.match(text, /\| pages, middle ratio +\| – +\|.*\| −23\.1 % +\|/);
  assert.match(text, /\| pages, high ratio +\| −35\.7 % +\|.*\| −37\.5 % +\|/);
});

test("no two charts go into one file", () => {
  const files = chartsOf(whole).map(({ file }) => file);
  assert.ok(files.includes("degradation-kv-mix-a-ratio-1.svg"));
  assert.equal(new Set(files).size, files.length);
});

test("the document of one part has only that part", () => {
  const text = evaluationDocument(evaluation([point({ ways })]));
  assert.match(text, /## The paper's figures/);
  assert.match(text, /\| sweep \| not measured \|/);
  assert.doesNotMatch(text, /## From an idle guest|sweep-/);
});

test("every chart is an SVG with a transparent background and each way that was run", async () => {
  for (const chart of chartsOf(whole)) {
    const svg = await svgOf(chart);
    assert.match(svg, /^<svg[^>]+viewBox/);
    assert.ok(svg.includes("three-stage"), chart.file);
    assert.doesNotMatch(svg, /NaN|undefined|fill="(?:white|#fff(?:fff)?)"/);
  }
});

test("the plan has distinct points, and a quick one has smaller guests", () => {
  for (const part of PARTS) {
    const [all, quick] = [planOf(part, false), planOf(part, true)];
    assert.equal(new Set(all.map(({ name }) => name)).size, all.length);
    const largest = (points: typeof all) => Math.max(...points.map((it) => it.memoryBytes));
    assert.ok(largest(quick) < largest(all));
  }
});
