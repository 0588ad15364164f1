import { PAGE_BYTES } from "../../src/memory/geometry.js";
import { HIGH_RATIO, LOW_RATIO, POST_COPY, PRE_COPY, SHIPPED } from "./plan.js";
import { type Evaluation, medianOf, type Metric, type PointResult } from "./results.js";
import { limitMs, reductionPercent, spreadOf } from "./statistics.js";

/** What the paper reports against Xen's pre-copy, in percent. */
export const PAPER_TIME = 36.2;
export const PAPER_PAGES_LOW = 22;
export const PAPER_PAGES_HIGH = 35.7;

const MOST_PAGES = 1.1;
/** What nobody gets below is the limit; this much above it is taken for reaching it. */
const MOST_OF_LIMIT = 1.15;

/** A promise held against what was measured; `met` is null where that was not measured. */
export interface Verdict {
  readonly bar: string;
  readonly found: string;
  readonly met: boolean | null;
}

export function verdictsOf(evaluation: Evaluation): readonly Verdict[] {
  const { points } = evaluation;
  const at = (wanted: number) =>
    points.filter(({ part, ratio }) => part === "figures" && ratio === wanted);
  const [low, high] = [at(LOW_RATIO), at(HIGH_RATIO)] as const;
  return [
    totalTime(low, evaluation),
    pages("low", low, PAPER_PAGES_LOW),
    pages("high", high, PAPER_PAGES_HIGH),
    mostPages(points.filter(({ part }) => part === "figures" || part === "sweep")),
    downtime(points),
    nearLimit(points, evaluation),
    waiting(points),
  ];
}

/** Percent by which `way` is below pre-copy, the mean over points; undefined where one was not measured. */
export function meanReduction(
  points: readonly PointResult[],
  way: string,
  metric: Metric,
): number | undefined {
  return meanBelowPreCopy(points, metric, (point) => medianOf(point, way, metric));
}

/** The same of what is not one way's, such as the least that any way can need. */
export function meanBelowPreCopy(
  points: readonly PointResult[],
  metric: Metric,
  oursAt: (point: PointResult) => number | undefined,
): number | undefined {
  const reductions = points.map((point) => {
    const [ours, theirs] = [oursAt(point), medianOf(point, PRE_COPY.name, metric)];
    return ours === undefined || theirs === undefined ? undefined : reductionPercent(ours, theirs);
  });
  const known = reductions.filter((it) => it !== undefined);
  return known.length === points.length ? spreadOf(known)?.mean : undefined;
}

/** A point's total time over the least that its bytes need. */
export function timesLimit(
  point: PointResult,
  way: string,
  { bandwidth }: Evaluation,
): number | undefined {
  const totalMs = medianOf(point, way, "totalMs");
  const least = limitMs(point.contentPages, PAGE_BYTES, bandwidth);
  return totalMs === undefined || least === 0 ? undefined : totalMs / least;
}

/** What a point took, as a multiple of what it is held against. */
interface Share {
  readonly name: string;
  readonly share: number;
}

/** Of the points where it was measured, the worst first. */
function sharesOf(
  points: readonly PointResult[],
  shareAt: (point: PointResult) => number | undefined,
): readonly Share[] {
  const shares = points.flatMap((point) => {
    const share = shareAt(point);
    return share === undefined ? [] : { name: point.name, share };
  });
  return shares.sort((a, b) => b.share - a.share);
}

function told({ name, share }: Share): string {
  return `${share.toFixed(2)} × (${name})`;
}

/** A reduction that is negative is an increase. */
export function reductionText(percent: number): string {
  return `${percent < 0 ? "+" : "−"}${Math.abs(percent).toFixed(1)} %`;
}

function unknown(bar: string): Verdict {
  return { bar, found: "not measured", met: null };
}

function totalTime(low: readonly PointResult[], evaluation: Evaluation): Verdict {
  const bar =
    `total time at the low ratio: at least −${String(PAPER_TIME)} %, the mean over sizes, ` +
    `or at every size at most ${MOST_OF_LIMIT.toFixed(2)} × the limit`;
  const reduction = meanReduction(low, SHIPPED.name, "totalMs");
  const [worst] = sharesOf(low, (point) => timesLimit(point, SHIPPED.name, evaluation));
  if (reduction === undefined || worst === undefined) return unknown(bar);
  const found = `${reductionText(reduction)}; at most ${told(worst)}`;
  return { bar, found, met: reduction >= PAPER_TIME || worst.share <= MOST_OF_LIMIT };
}

function pages(which: string, points: readonly PointResult[], percent: number): Verdict {
  const bar = `pages at the ${which} ratio: at least −${String(percent)} %`;
  const reduction = meanReduction(points, SHIPPED.name, "pages");
  if (reduction === undefined) return unknown(bar);
  const most = meanBelowPreCopy(points, "pages", ({ contentPages }) => contentPages);
  const found =
    `${reductionText(reduction)}; ` +
    `sending each page that is not zero once would be ${reductionText(most ?? 0)}`;
  return { bar, found, met: reduction >= percent };
}

function mostPages(points: readonly PointResult[]): Verdict {
  const bar = `pages at every ratio of the figures and the sweep: at most ${MOST_PAGES.toFixed(2)} × the guest's`;
  const [worst] = sharesOf(points, (point) => {
    const sent = medianOf(point, SHIPPED.name, "pages");
    return sent === undefined ? undefined : sent / (point.memoryBytes / PAGE_BYTES);
  });
  if (worst === undefined) return unknown(bar);
  return { bar, found: `at most ${told(worst)}`, met: worst.share <= MOST_PAGES };
}

/** Points where both were measured, with their downtimes. */
function downtimePairs(points: readonly PointResult[]) {
  return points.flatMap((point) => {
    const [ours, theirs] = [SHIPPED.name, PRE_COPY.name].map((name) =>
      medianOf(point, name, "downtimeMs"),
    );
    return ours === undefined || theirs === undefined ? [] : [{ point, ours, theirs }];
  });
}

/** Points that miss the bar for downtime. */
export function downtimeMisses(points: readonly PointResult[]): readonly PointResult[] {
  return downtimePairs(points).flatMap(({ point, ours, theirs }) => (ours > theirs ? point : []));
}

function downtime(points: readonly PointResult[]): Verdict {
  const bar = "downtime at every point: not above pre-copy's";
  const pairs = downtimePairs(points);
  if (pairs.length === 0) return unknown(bar);
  const above = pairs.filter(({ ours, theirs }) => ours > theirs);
  const names = above.map(
    ({ point, ours, theirs }) =>
      `${point.name} (${ours.toFixed(1)} against ${theirs.toFixed(1)} ms)`,
  );
  const held = `${String(pairs.length - above.length)} of ${String(pairs.length)} points`;
  const found = above.length === 0 ? held : `${held}; above at ${names.join(", ")}`;
  return { bar, found, met: above.length === 0 };
}

function nearLimit(points: readonly PointResult[], evaluation: Evaluation): Verdict {
  const bar = `total time up to ratio 1: at most ${MOST_OF_LIMIT.toFixed(2)} × the limit`;
  const near = points.filter(({ ratio }) => ratio !== null && ratio <= 1);
  const shares = sharesOf(near, (point) => timesLimit(point, SHIPPED.name, evaluation));
  const [worst] = shares;
  if (worst === undefined) return unknown(bar);
  const above = shares.filter(({ share }) => share > MOST_OF_LIMIT);
  const held = `${String(shares.length - above.length)} of ${String(shares.length)} points`;
  const found =
    above.length === 0
      ? `${held}; at most ${told(worst)}`
      : `${held}; above at ${above.map(told).join(", ")}`;
  return { bar, found, met: above.length === 0 };
}

/** Where the bar for waiting is judged. */
export function waitingPoint(points: readonly PointResult[]): PointResult | undefined {
  return points.find(
    ({ part, guest, ratio }) => part === "degradation" && guest === "kv" && ratio === HIGH_RATIO,
  );
}

export function isWaitingMissed(points: readonly PointResult[]): boolean {
  return waiting(points).met === false;
}

function waiting(points: readonly PointResult[]): Verdict {
  const bar =
    "blocktime plus downtime, kv mix A at the high ratio: below post-copy's, and below pre-copy's downtime";
  const point = waitingPoint(points);
  if (point === undefined) return unknown(bar);
  const wait = (way: string) => {
    const [stopped, blocked] = (["downtimeMs", "blocktimeMs"] as const).map((metric) =>
      medianOf(point, way, metric),
    );
    return stopped === undefined || blocked === undefined ? undefined : stopped + blocked;
  };
  const [ours, post, pre] = [SHIPPED, POST_COPY, PRE_COPY].map(({ name }) => wait(name));
  if (ours === undefined || post === undefined || pre === undefined) return unknown(bar);
  const found = `${ours.toFixed(1)} ms; post-copy ${post.toFixed(1)} ms, pre-copy ${pre.toFixed(1)} ms`;
  return { bar, found, met: ours < post && ours < pre };
}
