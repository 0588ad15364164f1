import { PAPER, POST_COPY, PRE_COPY, SHIPPED } from "./plan.js";
import { medianOf, type Metric, type PointResult } from "./results.js";
import { reductionPercent } from "./statistics.js";

/** Compared by the share, since guests differ in size; what may be nothing at all for a rival, by the milliseconds. */
const METRICS: readonly (readonly [Metric, string, "percent" | "ms"])[] = [
  ["totalMs", "total time", "percent"],
  ["pages", "pages", "percent"],
  ["downtimeMs", "downtime", "percent"],
  ["blocktimeMs", "blocktime", "ms"],
  ["recoveryMs", "time to 90 % of full speed", "ms"],
];

interface Loss {
  readonly at: string;
  readonly rival: string;
  /** In the metric's unit; infinite where three-stage never came to what the rival did. */
  readonly behind: number;
}

/** Places where a rival did better than three-stage as shipped, said in words; the worst of each metric. */
export function lossesOf(points: readonly PointResult[]): readonly string[] {
  return METRICS.flatMap(([metric, name, unit]) => {
    const losses = points.flatMap((point) => lossesAt(point, metric, unit));
    const worst = losses.sort((a, b) => b.behind - a.behind)[0];
    if (worst === undefined) return [];
    const { at, rival, behind } = worst;
    const places = losses.length === 1 ? "once" : `${String(losses.length)} times`;
    const text = behind.toFixed(unit === "ms" ? 1 : 0);
    const far = Number.isFinite(behind)
      ? `${text} ${unit === "ms" ? "ms" : "%"} above it`
      : "in most runs was not there while it was watched";
    return [
      `In ${name} a rival was ahead ${places}; furthest at ${at}, where ${rival} was better and three-stage ${far}.`,
    ];
  });
}

function lossesAt(point: PointResult, metric: Metric, unit: "percent" | "ms"): readonly Loss[] {
  const ours = medianOf(point, SHIPPED.name, metric);
  if (ours === undefined || point.part === "ablation") return [];
  // Elsewhere guests work in phases, or too rarely for a speed to be seen in 100 ms.
  if (metric === "recoveryMs" && point.part !== "degradation") return [];
  return [PRE_COPY, POST_COPY, PAPER].flatMap(({ name: rival }) => {
    const theirs = medianOf(point, rival, metric);
    if (theirs === undefined || theirs >= ours) return [];
    const behind = unit === "ms" ? ours - theirs : -reductionPercent(ours, theirs);
    return { at: point.name, rival, behind };
  });
}

/** Compared in predictions: what they say is meant to be right within a small factor, of whatever size it is. */
const PREDICTED = [
  ["totalMs", "total time", (ms: number) => `${(ms / 1000).toFixed(2)} s`],
  ["pages", "pages", (pages: number) => `${pages.toFixed(0)} pages`],
  ["downtimeMs", "downtime", (ms: number) => `${ms.toFixed(1)} ms`],
] as const;

/** Where `estimate` was furthest from what was then measured, for each thing that it predicts. */
export function mispredictionsOf(points: readonly PointResult[]): readonly string[] {
  const worst = PREDICTED.flatMap(([metric, name, text]) => {
    const misses = points.flatMap((point) =>
      point.ways.flatMap(({ way, predictedAs }) => {
        const found = medianOf(point, way, metric);
        const said = point.predictions.find(({ algorithm }) => algorithm === predictedAs)?.[metric];
        if (found === undefined || said === undefined || found === 0 || said === 0) return [];
        return { factor: Math.max(found / said, said / found), at: point.name, way, found, said };
      }),
    );
    const [most] = misses.sort((a, b) => b.factor - a.factor);
    if (most === undefined) return [];
    const { factor, at, way, found, said } = most;
    const times = `${factor.toFixed(factor < 10 ? 1 : 0)} ×`;
    return `in ${name} by ${times} (${way} at ${at}: ${text(said)} said, ${text(found)} found)`;
  });
  if (worst.length === 0) return [];
  return [
    `What \`estimate\` said was furthest off ${worst.join(", ")}: it takes a guest's writes as one average, and a load in ` +
      "phases is now above it and now below.",
  ];
}
