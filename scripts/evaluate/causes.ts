import { PAGE_BYTES } from "../../src/memory/geometry.js";
import { table } from "../markdown.js";
import { PRE_COPY, SHIPPED } from "./plan.js";
import { type Evaluation, medianOf, type Metric, type PointResult, wayOf } from "./results.js";
import { limitMs, spreadOf } from "./statistics.js";
import { downtimeMisses, isWaitingMissed, waitingPoint } from "./verdicts.js";

/** Why bars for downtime and waiting are missed, as far as the data say it; each a paragraph or a table. */
export function causesOf(evaluation: Evaluation): readonly string[] {
  return [...downtimeCauses(evaluation.points), ...waitingCauses(evaluation)];
}

const PARTS = [
  ["pauseMs", "pause"],
  ["copyMs", "copy"],
  ["collectMs", "collect"],
  ["transferMs", "transfer"],
  ["startMs", "start"],
] as const;

function downtimeCauses(points: readonly PointResult[]): readonly string[] {
  const misses = downtimeMisses(points);
  if (misses.length === 0) return [];
  const rows = misses.flatMap((point) =>
    [SHIPPED.name, PRE_COPY.name].flatMap((name) => {
      const runs = wayOf(point, name)?.runs.flatMap(({ downtimeParts }) => downtimeParts ?? []);
      if (runs === undefined || runs.length === 0) return [];
      const parts = PARTS.map(([part]) => spreadOf(runs.map((run) => run[part]))?.median ?? 0);
      const downtimeMs = medianOf(point, name, "downtimeMs") ?? 0;
      return [[point.name, name, ...[downtimeMs, ...parts].map((ms) => ms.toFixed(2))]];
    }),
  );
  if (rows.length === 0)
    return ["Of what the downtimes above pre-copy's are made the results do not say."];
  const head = [
    "downtime above pre-copy's at",
    "algorithm",
    "ms",
    ...PARTS.map(([, name]) => name),
  ];
  return [
    "What these downtimes are made of, in milliseconds, each part its own median: until every vCPU stood (pause), until " +
      "what pre-copy still had to send was there (copy), until the dirty set was packed (collect), until the destination had " +
      "it (transfer), and until the first operation there was done (start).",
    table(head, rows),
  ];
}

function waitingCauses({ points, bandwidth }: Evaluation): readonly string[] {
  const point = waitingPoint(points);
  if (point === undefined || !isWaitingMissed(points)) return [];
  const ours = (metric: Metric) => medianOf(point, SHIPPED.name, metric);
  const sentences = [
    dirtySentence(ours("dirtyPages"), ours("pushedPages"), bandwidth),
    faultSentence(ours("faults"), ours("faultLatencyUs"), ours("blocktimeMs")),
    priceSentence(point),
  ].filter((sentence) => sentence !== undefined);
  return sentences.length === 0 ? [] : [`At ${point.name}: ${sentences.join(" ")}`];
}

function dirtySentence(
  dirtyPages: number | undefined,
  pushedPages: number | undefined,
  bandwidth: number,
): string | undefined {
  if (dirtyPages === undefined) return undefined;
  const pushMs = limitMs(pushedPages ?? dirtyPages, PAGE_BYTES, bandwidth);
  return (
    `with three-stage ${dirtyPages.toFixed(0)} pages are dirty at the handover, and the link takes ${pushMs.toFixed(0)} ms to ` +
    "push them; so long the guest meets pages that it has to wait for."
  );
}

function faultSentence(
  faults: number | undefined,
  latencyUs: number | undefined,
  blocktimeMs: number | undefined,
): string | undefined {
  if (faults === undefined || blocktimeMs === undefined) return undefined;
  const total = `three-stage has ${faults.toFixed(0)} faults with a blocktime of ${blocktimeMs.toFixed(0)} ms`;
  if (latencyUs === undefined) return `${total}.`;
  const usualMs = (faults * latencyUs) / 1000;
  return `${total}; at the median latency of ${latencyUs.toFixed(0)} µs they would take ${usualMs.toFixed(0)} ms.`;
}

/** What pre-copy gives for its waiting, which is all downtime. */
function priceSentence(point: PointResult): string | undefined {
  const [total, pages, stopped] = (["totalMs", "pages", "downtimeMs"] as const).map((metric) =>
    medianOf(point, PRE_COPY.name, metric),
  );
  if (total === undefined || pages === undefined || stopped === undefined) return undefined;
  const times = (theirs: number, metric: Metric) => {
    const ours = medianOf(point, SHIPPED.name, metric);
    return ours === undefined ? "unknown" : `${(theirs / ours).toFixed(1)} ×`;
  };
  return (
    `Pre-copy has no faults, and its downtime is ${stopped.toFixed(0)} ms; for that it takes ` +
    `${(total / 1000).toFixed(2)} s (${times(total, "totalMs")} three-stage's) and sends ${pages.toFixed(0)} pages ` +
    `(${times(pages, "pages")}).`
  );
}
