import { table } from "../markdown.js";
import { formatRate } from "../../src/units.js";
import { causesOf } from "./causes.js";
import { chartsOf } from "./charts.js";
import { lossesOf, mispredictionsOf } from "./losses.js";
import { HIGH_RATIO, LOW_RATIO, MIDDLE_RATIO, PAPER, PARTS, POST_COPY, SHIPPED } from "./plan.js";
import type { Evaluation, Metric, PointResult } from "./results.js";
import { sweepFindings } from "./sweep-findings.js";
import {
  ablationTable,
  degradationTable,
  loadTable,
  pointTable,
  reductionTable,
} from "./tables.js";
import {
  PAPER_PAGES_HIGH,
  PAPER_PAGES_LOW,
  PAPER_TIME,
  type Verdict,
  verdictsOf,
} from "./verdicts.js";

/** The whole of docs/EVALUATION.md, made from the results alone; a formatter aligns its tables. */
export function evaluationDocument(evaluation: Evaluation): string {
  const of = (part: string) => evaluation.points.filter((point) => point.part === part);
  return [
    ...introduction(evaluation),
    ...bars(evaluation),
    ...figures(of("figures"), evaluation),
    ...sweep(of("sweep"), evaluation),
    ...degradation(of("degradation"), evaluation),
    ...ablation(of("ablation")),
  ].join("\n\n");
}

function introduction({ bandwidth, points, measurements }: Evaluation) {
  const rows = PARTS.map((part) => {
    const measurement = measurements[part];
    if (measurement === undefined) return [part, "not measured", "–", "–", "–", "–"];
    const { command, build, measuredAt, machine } = measurement;
    const runs = runsOf(points.filter((point) => point.part === part));
    return [part, runs, build ?? "unknown", measuredAt, machine, `\`${command}\``];
  });
  return [
    "# Evaluation",
    "Written by `npm run evaluate`; do not edit it. The raw results are in [evaluation](evaluation), and " +
      "`npm run evaluate -- --redraw` writes this document from them without measuring.",
    table(["part", "runs of every point", "build", "measured", "machine", "command"], rows),
    `The link is loopback, page data held to ${formatRate(bandwidth)} by \`--max-bandwidth\`. ` +
      "Both hosts are real processes, and the guest goes back and forth between them, each time by the next " +
      "algorithm, so that all of them see the same machine; their order changes from run to run, so that each goes both " +
      `ways and comes after others${withFixedOrder(points)}. Before each the machine has its free memory touched, which a ` +
      "virtual machine gives back to its host within seconds, and pays for when it takes it again. Cells have the median of the runs and, " +
      "in parentheses, the least and the most. The _ratio_ is the average rate at which the guest writes to " +
      "pages over the bandwidth, as the guest is told to write; `kv` is told operations instead, at a pace at which " +
      "`estimate` finds the ratio in its name. `estimate` counts how many different pages are written in 0.64 s, so the " +
      "ratio that it finds is lower where a guest writes to its pages more than once in that time, as memtester does on " +
      "little memory. The _limit_ is what the pages that are not zero need to cross once. " +
      "_Pages_ are those whose contents crossed, repeats included; of one that went as a delta, as many blocks of it as did. _As " +
      "deltas_ is how many did that. " +
      "_Predicted_ is what `tristage estimate` said before the first run. _Rounds_ are all passes of a migration before the guest " +
      "runs at the destination, the one over the stopped guest included; _ended by_ is why no further one came while it ran, in most " +
      "of the runs: `few-pages` where little was left, `grew` where a pass sent more than the one before, `max-rounds` and " +
      "`sent-3x` where enough was tried.",
  ];
}

/** Older results are told by what they lack. They had one order, and gaps and recoveries took no account of the pause itself. */
function withFixedOrder(points: readonly PointResult[]): string {
  const isOld = ({ ways }: PointResult) =>
    ways.every(({ runs }) => runs.every(({ dirtyPages }) => dirtyPages === undefined));
  const old = PARTS.filter((part) => {
    const ofPart = points.filter((point) => point.part === part);
    return ofPart.length > 0 && ofPart.every(isOld);
  });
  return old.length === 0 ? "" : ` (not yet in: ${old.join(", ")})`;
}

/** Where runs failed, some ways have fewer. */
function runsOf(points: readonly PointResult[]): string {
  const counts = points.flatMap(({ ways }) => ways).map(({ runs }) => runs.length);
  const [least, most] = [Math.min(...counts), Math.max(...counts)];
  return least === most ? String(most) : `${String(least)} to ${String(most)}`;
}

function bars(evaluation: Evaluation): string[] {
  const verdicts = verdictsOf(evaluation);
  return [
    "## What was won and what was lost",
    "The bars are the goals that the project set itself from the paper's figures.",
    table(
      ["bar for three-stage as shipped", "found", ""],
      verdicts.map(({ bar, found, met }) => [bar, found, word(met)]),
    ),
    lost(verdicts, evaluation),
    ...causesOf(evaluation),
  ];
}

function word(met: boolean | null): string {
  if (met === null) return "not measured";
  return met ? "met" : "**missed**";
}

/** The honest paragraph, from the data. */
function lost(verdicts: readonly Verdict[], evaluation: Evaluation): string {
  const { points } = evaluation;
  const count = (met: boolean | null) => verdicts.filter((verdict) => verdict.met === met).length;
  const sentences = [
    `Of ${String(verdicts.length)} bars ${String(count(true))} are met, ${String(count(false))} missed ` +
      `and ${String(count(null))} not measured.`,
    ...lossesOf(points),
    ...mispredictionsOf(points),
    ...sweepFindings(evaluation),
    ...problems(points),
  ];
  return sentences.join(" ");
}

/** Every algorithm that could not be run, once, with the reason. */
function problems(points: readonly PointResult[]): string[] {
  const reasons = new Map<string, string>();
  for (const { ways } of points) {
    for (const { way, problem } of ways) if (problem !== null) reasons.set(way, problem);
  }
  return [...reasons].map(([way, problem]) => `Runs of ${way} are missing: ${problem}.`);
}

function paperSays(group: string, metric: Metric): number | undefined {
  if (metric === "totalMs") return group === "low" ? PAPER_TIME : undefined;
  if (metric !== "pages") return undefined;
  return group === "low" ? PAPER_PAGES_LOW : group === "high" ? PAPER_PAGES_HIGH : undefined;
}

function figures(points: readonly PointResult[], evaluation: Evaluation): string[] {
  if (points.length === 0) return [];
  const at = (ratio: number) => points.filter((point) => point.ratio === ratio);
  const groups = [
    { name: "low", points: at(LOW_RATIO) },
    { name: "middle", points: at(MIDDLE_RATIO) },
    { name: "high", points: at(HIGH_RATIO) },
  ];
  return [
    "## The paper's figures",
    `memtester on a quarter of memory at a low ratio (${String(LOW_RATIO)}), one between ` +
      `(${String(MIDDLE_RATIO)}) and a high one (${String(HIGH_RATIO)}: the guest writes as much as the link carries, ` +
      "which leaves pre-copy no room to converge); the rest of memory is full. It writes a sweep and then verifies it, so while it " +
      "writes the rate is twice the average. _three-stage (paper)_ defers nothing and sends every dirty page again, whole. " +
      "The paper's own ratios are not known to us. Results depend on them: the less a guest writes, the nearer pre-copy is to the limit.",
    reductionTable(groups, [PAPER.name, SHIPPED.name, POST_COPY.name], paperSays),
    "The paper's numbers are Xen's on its authors' machines. A negative sign is less than pre-copy.",
    ...images("figures-", evaluation),
    pointTable(points, evaluation),
    loadTable(points, evaluation),
  ];
}

function sweep(points: readonly PointResult[], evaluation: Evaluation): string[] {
  if (points.length === 0) return [];
  return [
    "## From an idle guest to one that outruns the link",
    "random-writer on half of memory: it writes to pages without any order, so nothing in the load favours an " +
      "algorithm. At ratio 1 it writes as many pages as the link carries.",
    ...images("sweep-", evaluation),
    pointTable(points, evaluation),
    loadTable(points, evaluation),
  ];
}

function degradation(points: readonly PointResult[], evaluation: Evaluation): string[] {
  if (points.length === 0) return [];
  return [
    "## What the guest's users notice",
    "Operations per second in bins of 10 ms through the first run of each algorithm. The time to 90 % of full " +
      "speed counts from the pause to the first 100 ms in which the guest reaches it; a run in which it did not, as long as it " +
      "was watched, counts as _never_. The longest gap has the pause in it; waits within a bin of 10 ms are not seen in it, but in the " +
      "blocktime.",
    ...images("degradation-", evaluation),
    degradationTable(points),
    loadTable(points, evaluation),
  ];
}

function ablation(points: readonly PointResult[]): string[] {
  if (points.length === 0) return [];
  return [
    "## What each part of the method brings",
    "Three-stage with each part off in turn, and post-copy with and without prepull. The guest that writes _the same values_ is " +
      "the one for which the check of unchanged pages is there: its pages become dirty and do not change. memtester writes whole " +
      "pages, of which no delta is worth sending: what it rewrites is deferred. What follows from " +
      "it all, and what was removed for not paying, stands in the ADRs " +
      "[0008](adr/0008-deferral.md) (deferral), [0010](adr/0010-prepull.md) (prepull, unchanged pages), " +
      "[0021](adr/0021-ascending-push.md) (order of the push) and [0031](adr/0031-deltas.md) (deltas). Where a round trip is named, the link is that much longer " +
      "than loopback.",
    ablationTable(points),
  ];
}

function images(prefix: string, evaluation: Evaluation): string[] {
  return chartsOf(evaluation)
    .filter(({ file }) => file.startsWith(prefix))
    .map(({ file, title }) => `![${title}](evaluation/${file})`);
}
