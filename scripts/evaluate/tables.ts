import { PAGE_BYTES } from "../../src/memory/geometry.js";
import { table } from "../markdown.js";
import {
  type Evaluation,
  type Metric,
  type PointResult,
  valuesOf,
  type WayResult,
} from "./results.js";
import { limitMs, spreadOf } from "./statistics.js";
import { stopReasonOf } from "./sweep-findings.js";
import { meanReduction, reductionText, timesLimit } from "./verdicts.js";

const DASH = "–";

/** `1.25 (1.20 – 1.31)`: the median, and the least and the most of the runs. */
function spreadText(values: readonly number[], scale = 1, digits = 2): string {
  const spread = spreadOf(values.map((value) => value / scale));
  if (spread === undefined) return DASH;
  const { median, least, most, runs } = spread;
  const text = (value: number) => (Number.isFinite(value) ? value.toFixed(digits) : "never");
  return runs === 1 ? text(median) : `${text(median)} (${text(least)} – ${text(most)})`;
}

/** The time to 90 % of full speed, and how many runs did not come to that. */
function recoveryText(way: WayResult): string {
  const values = valuesOf(way, "recoveryMs");
  const never = values.filter((ms) => !Number.isFinite(ms)).length;
  const text = spreadText(values, 1, 0);
  return never === 0 ? text : `${text}; never in ${String(never)} of ${String(values.length)}`;
}

/** The reason for which passes over a running guest ended most often, and in how many of the runs. */
function stopText(way: WayResult): string {
  const stop = stopReasonOf(way);
  if (stop === undefined) return DASH;
  return `\`${stop.reason}\` (${String(stop.count)} of ${String(way.runs.length)})`;
}

function percentText(reduction: number | undefined): string {
  return reduction === undefined ? DASH : reductionText(reduction);
}

/** One row for each way at each point: what was measured beside what was predicted, and the limit. */
export function pointTable(points: readonly PointResult[], evaluation: Evaluation): string {
  const head = [
    ...["load", "algorithm", "total s", "predicted", "× limit", "pages / guest's", "predicted"],
    "as deltas",
    ...["downtime ms", "predicted", "blocktime ms", "network faults %", "rounds", "ended by"],
  ];
  const rows = points.flatMap((point) =>
    point.ways.map((way) => [point.name, way.way, ...cellsOf(point, way, evaluation)]),
  );
  return table(head, rows);
}

function cellsOf(point: PointResult, way: WayResult, evaluation: Evaluation): string[] {
  const { problem, runs, predictedAs } = way;
  if (runs.length === 0) return [problem ?? DASH, ...Array<string>(11).fill(DASH)];
  const of = (metric: Metric) => valuesOf(way, metric);
  const predicted = point.predictions.find(({ algorithm }) => algorithm === predictedAs);
  const guestPages = point.memoryBytes / PAGE_BYTES;
  const rounds = runs.map((run) => run.rounds);
  return [
    spreadText(of("totalMs"), 1000),
    predicted === undefined ? DASH : (predicted.totalMs / 1000).toFixed(2),
    timesLimit(point, way.way, evaluation)?.toFixed(2) ?? DASH,
    spreadText(of("pages"), guestPages),
    predicted === undefined ? DASH : (predicted.pages / guestPages).toFixed(2),
    spreadText(of("deltaPages"), guestPages),
    spreadText(of("downtimeMs"), 1, 1),
    predicted === undefined ? DASH : predicted.downtimeMs.toFixed(1),
    spreadText(of("blocktimeMs"), 1, 1),
    spreadText(of("networkFaultPercent")),
    spreadText(rounds, 1, 0),
    stopText(way),
  ];
}

/** What each point is: the load that was meant and found, and what cannot be undercut. */
export function loadTable(points: readonly PointResult[], { bandwidth }: Evaluation): string {
  const rows = points.map((point) => [
    point.name,
    Object.entries(point.settings)
      .map(([key, value]) => `\`${key}=${value}\``)
      .join(" "),
    point.ratio === null ? DASH : String(point.ratio),
    point.measuredRatio.toFixed(2),
    `${((point.contentPages / (point.memoryBytes / PAGE_BYTES)) * 100).toFixed(0)} %`,
    (limitMs(point.contentPages, PAGE_BYTES, bandwidth) / 1000).toFixed(2),
  ]);
  const head = [
    "load",
    "settings",
    "ratio",
    "ratio found by `estimate`",
    "pages not zero",
    "limit s",
  ];
  return table(head, rows);
}

/** Reductions against pre-copy, the paper's beside ours. */
export function reductionTable(
  groups: readonly { readonly name: string; readonly points: readonly PointResult[] }[],
  ways: readonly string[],
  paper: (group: string, metric: Metric) => number | undefined,
): string {
  const metrics = [
    ["totalMs", "total time"],
    ["pages", "pages"],
    ["downtimeMs", "downtime"],
  ] as const;
  const rows = groups.flatMap(({ name, points }) =>
    metrics.map(([metric, title]) => [
      `${title}, ${name} ratio`,
      percentText(paper(name, metric)),
      ...ways.map((way) => percentText(meanReduction(points, way, metric))),
    ]),
  );
  return table(["against pre-copy", "the paper", ...ways], rows);
}

export function degradationTable(points: readonly PointResult[]): string {
  const rows = points.flatMap((point) =>
    point.ways.map((way) => {
      const of = (metric: Metric) => spreadText(valuesOf(way, metric), 1, 0);
      const [gap, downtime, blocktime] = [of("longestGapMs"), of("downtimeMs"), of("blocktimeMs")];
      const total = spreadText(valuesOf(way, "totalMs"), 1000);
      return [point.name, way.way, gap, recoveryText(way), downtime, blocktime, total];
    }),
  );
  const head = ["guest", "algorithm", "longest gap ms", "90 % of full speed after ms"];
  return table([...head, "downtime ms", "blocktime ms", "total s"], rows);
}

export function ablationTable(points: readonly PointResult[]): string {
  const rows = points.flatMap((point) =>
    point.ways.map((way) => [
      point.name,
      way.way,
      spreadText(valuesOf(way, "totalMs"), 1000),
      spreadText(valuesOf(way, "pages"), point.memoryBytes / PAGE_BYTES),
      spreadText(valuesOf(way, "downtimeMs"), 1, 1),
      spreadText(valuesOf(way, "blocktimeMs"), 1, 1),
      spreadText(valuesOf(way, "faults"), 1, 0),
    ]),
  );
  const head = ["guest", "way", "total s", "pages / guest's", "downtime ms"];
  return table([...head, "blocktime ms", "faults"], rows);
}
