import assert from "node:assert/strict";
import { test } from "node:test";
import { resultOf } from "../../../scripts/evaluate/measure.js";
import { valuesOf, withPart } from "../../../scripts/evaluate/results.js";
import { BODIES } from "../../golden/samples.js";
import { evaluation, point, run, way } from "./samples.js";

const { report } = BODIES.report;

test("a result keeps what explains it: the downtime's parts, dirty pages and the latency of faults", () => {
  const { downtimeParts, dirtyPages, faultLatencyUs } = resultOf(report);
  assert.deepEqual(downtimeParts, report.downtimeParts);
  assert.equal(dirtyPages, report.pages.dirty);
  assert.equal(faultLatencyUs, report.faults?.latencyUs?.p50);
});

test("a page that went as a delta counts as the share of it that crossed", () => {
  const pages = { ...report.pages, transferred: 1000, stageOne: 900, stageThree: 100, delta: 40 };
  const bytes = { ...report.bytes, delta: 80 * 512 };
  const { pages: sent, deltaPages, pushedPages } = resultOf({ ...report, pages, bytes });
  assert.deepEqual([sent, deltaPages, pushedPages], [1010, 40, 110]);
});

test("what a report does not know a result does not know either", () => {
  const blind = { ...report.guestOps, before: null, longestGapMs: null };
  const result = resultOf({ ...report, guestOps: blind, faults: null, downtimeParts: null });
  for (const key of ["longestGapMs", "recoveryMs", "downtimeParts", "faultLatencyUs"]) {
    assert.ok(!(key in result), key);
  }
  for (const metric of ["longestGapMs", "recoveryMs", "blocktimeMs", "faults"] as const) {
    assert.deepEqual(valuesOf(way("three-stage", [result]), metric), []);
  }
});

test("a guest that is never back at its speed counts, as the longest time there is", () => {
  const runs = [40, null, 60].map((recoveryMs) => run({ recoveryMs }));
  assert.deepEqual(valuesOf(way("three-stage", runs), "recoveryMs"), [40, Infinity, 60]);
});

test("a part that was measured again replaces itself alone, unless the link was another", () => {
  const earlier = evaluation([
    point({ part: "figures", name: "kept" }),
    point({ part: "sweep", name: "replaced" }),
    point({ part: "ablation", name: "kept as well" }),
  ]);
  const { bandwidth } = earlier;
  const measurement = { command: "again", build: null, measuredAt: "2000-01-02", machine: "none" };
  const points = [point({ part: "sweep", name: "new" })];
  const names = (it: typeof earlier) => it.points.map(({ name }) => name);
  const found = withPart(earlier, "sweep", { measurement, bandwidth, points });
  assert.deepEqual(names(found), ["kept", "new", "kept as well"]);
  assert.deepEqual(found.measurements, { ...earlier.measurements, sweep: measurement });
  const other = withPart(earlier, "sweep", { measurement, bandwidth: bandwidth + 1, points });
  assert.deepEqual([names(other), other.measurements], [["new"], { sweep: measurement }]);
});
