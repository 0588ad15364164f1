import assert from "node:assert/strict";
import { test } from "node:test";
import { averages, throughputChart } from "../../../src/cli/show/chart.js";
import type { Report } from "../../../src/protocol/report.js";
import { emptyReport, sampleReport } from "./samples.js";

const SIZE = { width: 78, height: 5 };

function chartOf(throughput: Report["throughput"], downtimeMs: number | null = 20): string[] {
  const { times } = sampleReport();
  return throughputChart(sampleReport({ throughput, times: { ...times, downtimeMs } }), SIZE);
}

/** A bin of 10 ms every 10 ms. */
function steady(fromMs: number, toMs: number, rate: number): [number, number][] {
  const bins: [number, number][] = [];
  for (let ms = fromMs; ms < toMs; ms += 10) bins.push([ms, rate]);
  return bins;
}

test("a chart keeps to its width and has two rows more than its height", () => {
  for (const count of [1, 2, 7, 68, 69, 500, 3000]) {
    const lines = chartOf(steady(-10 * count, 10 * count, 123_456));
    assert.equal(lines.length, SIZE.height + 2);
    for (const line of lines) assert.ok(line.length <= SIZE.width, line);
  }
});

test("a chart of nothing is empty", () => {
  assert.deepEqual(throughputChart(emptyReport(), SIZE), []);
});

test("a guest that stood still all the time is drawn as a line at zero", () => {
  const lines = chartOf(steady(-100, 100, 0));
  assert.match(lines[SIZE.height] ?? "", /^ +0┼─+/);
});

test("the highest value is at the top and zero at the bottom", () => {
  const lines = chartOf([...steady(-300, 0, 2e6), ...steady(0, 300, 1e6)]);
  assert.match(lines[0] ?? "", /^ +2(\.00)? M┼─/);
  assert.match(lines[SIZE.height] ?? "", /^ +0┤/);
});

test("averages weigh each bin by the time that it shares with a column", () => {
  const span = { startMs: 0, endMs: 40 };
  const bins: [number, number][] = [
    [0, 100],
    [10, 200],
    [20, 300],
    [30, 400],
  ];
  assert.deepEqual(averages(bins, span, 2), [150, 350]);
  const withPause: typeof bins = [
    [0, 100],
    [4, 0],
    [10, 300],
  ];
  assert.deepEqual(averages(withPause, { startMs: 0, endMs: 20 }, 2), [40, 300]);
  assert.deepEqual(averages(bins, span, 8), [100, 100, 200, 200, 300, 300, 400, 400]);
  assert.deepEqual(averages(bins, span, 1), [250]);
});

test("time without observation is left blank, not drawn as zero", () => {
  const span = { startMs: 0, endMs: 40 };
  const bins: [number, number][] = [
    [0, 100],
    [30, 400],
  ];
  assert.deepEqual(averages(bins, span, 4), [100, null, null, 400]);
  const lines = chartOf([...steady(-300, -100, 1e6), ...steady(100, 300, 1e6)], null);
  const [top = ""] = lines;
  assert.match(top, /─ {20,}─/);
  for (const line of lines.slice(1, -1)) assert.match(line, /┤$/);
});

test("pause and resume are marked below and through the plot, with the downtime", () => {
  const lines = chartOf(
    [...steady(-500, 0, 1e6), ...steady(0, 200, 0), ...steady(200, 500, 1e6)],
    200,
  );
  const foot = lines.at(-1) ?? "";
  assert.equal(foot.split("▲").length - 1, 2);
  assert.match(foot, /down for 200 ms/);
  const [pause, resume] = [foot.indexOf("▲"), foot.lastIndexOf("▲")];
  // A thousand milliseconds over 68 columns: the pause in the middle, the resume 200 ms later.
  assert.ok(Math.abs(pause - 44) <= 1, foot);
  assert.ok(Math.abs(resume - pause - 14) <= 1, foot);
  assert.equal(lines[1]?.[pause], "┊");
});

test("pause and resume in one column share one mark", () => {
  const foot = chartOf(steady(-500, 500, 1e6), 1).at(-1) ?? "";
  assert.equal(foot.split("▲").length - 1, 1);
  assert.match(foot, /▲ down for 1 ms/);
});

test("a guest that was never paused has no marks", () => {
  const foot = chartOf(steady(-500, 500, 1e6), null).at(-1) ?? "";
  assert.doesNotMatch(foot, /▲|down/);
  assert.match(foot, /-500 ms .* \+500 ms/);
});
