import { PAGE_BYTES } from "../../src/memory/geometry.js";
import { POST_COPY, PRE_COPY, SHIPPED } from "./plan.js";
import { type Evaluation, type PointResult, wayOf, type WayResult } from "./results.js";
import { limitMs } from "./statistics.js";
import { meanBelowPreCopy, meanReduction, PAPER_TIME } from "./verdicts.js";

/** Where along the sweep something begins, from its data. */
export function sweepFindings({ points, bandwidth }: Evaluation): readonly string[] {
  const sweep = points.filter(({ part }) => part === "sweep");
  if (sweep.length === 0) return [];
  return [gap(sweep, bandwidth), ...convergence(sweep)];
}

/** The lowest ratio at which `holds`, and at every higher one that was measured as well. */
function ratioFrom(
  points: readonly PointResult[],
  holds: (point: PointResult) => boolean,
): number | undefined {
  let from: number | undefined;
  const rated = points.flatMap((point) =>
    point.ratio === null ? [] : { ...point, ratio: point.ratio },
  );
  for (const point of rated.sort((a, b) => b.ratio - a.ratio)) {
    if (!holds(point)) break;
    from = point.ratio;
  }
  return from;
}

function gap(sweep: readonly PointResult[], bandwidth: number): string {
  const from = (reductionAt: (point: PointResult) => number | undefined) => {
    const ratio = ratioFrom(sweep, (point) => (reductionAt(point) ?? 0) >= PAPER_TIME);
    return ratio === undefined ? "nowhere" : `from ratio ${String(ratio)} on`;
  };
  const limit = from((point) =>
    meanBelowPreCopy([point], "totalMs", ({ contentPages }) =>
      limitMs(contentPages, PAGE_BYTES, bandwidth),
    ),
  );
  const [ours, post] = [SHIPPED, POST_COPY].map(({ name }) =>
    from((point) => meanReduction([point], name, "totalMs")),
  );
  return (
    `In the sweep the limit lies the paper's gap in total time (${String(PAPER_TIME)} %) below pre-copy ${limit}; ` +
    `three-stage is so far below it ${String(ours)}, post-copy ${String(post)}.`
  );
}

/** Where most runs of pre-copy did not end because little was left. */
function convergence(sweep: readonly PointResult[]): readonly string[] {
  const measured = sweep.filter((point) => stopReasonOf(wayOf(point, PRE_COPY.name)) !== undefined);
  if (measured.length === 0) return [];
  const [first] = measured
    .filter((point) => !mostlyConverges(wayOf(point, PRE_COPY.name)))
    .flatMap(({ ratio }) => ratio ?? [])
    .sort((a, b) => a - b);
  if (first === undefined)
    return ["Pre-copy converged at every ratio of the sweep, in most runs at least."];
  return [
    `Pre-copy stops converging at ratio ${String(first)}: it is the lowest at which most of its runs did not end because ` +
      "few pages were left (`few-pages`).",
  ];
}

function mostlyConverges(way: WayResult | undefined): boolean {
  const reasons = way?.runs.map(({ stopReason }) => stopReason) ?? [];
  return reasons.filter((reason) => reason === "few-pages").length * 2 >= reasons.length;
}

/** Why passes ended in most runs of a way, and in how many of them; undefined where there was no choice. */
export function stopReasonOf(
  way: WayResult | undefined,
): { readonly reason: string; readonly count: number } | undefined {
  const counts = new Map<string, number>();
  for (const { stopReason } of way?.runs ?? []) {
    if (stopReason !== null) counts.set(stopReason, (counts.get(stopReason) ?? 0) + 1);
  }
  const [most] = [...counts].sort(([, a], [, b]) => b - a);
  return most === undefined ? undefined : { reason: most[0], count: most[1] };
}
