import type { Report } from "../../src/protocol/report.js";
import { type Part, PARTS } from "./plan.js";
import { spreadOf } from "./statistics.js";

/** The raw results, as they are kept beside the document: enough to draw it again without measuring. */
export interface Evaluation {
  /** Of each part that was measured: parts are measured alone, and by builds of different days. */
  readonly measurements: Readonly<Partial<Record<Part, Measurement>>>;
  readonly bandwidth: number;
  readonly points: readonly PointResult[];
}

/** How a part was measured. */
export interface Measurement {
  readonly command: string;
  /** The program's commit, with `-dirty` where the tree had changes; null where there is no git to tell. */
  readonly build: string | null;
  readonly measuredAt: string;
  readonly machine: string;
}

export interface PointResult {
  readonly part: Part;
  readonly name: string;
  readonly guest: string;
  readonly settings: Readonly<Record<string, string>>;
  readonly memoryBytes: number;
  readonly ratio: number | null;
  /** As `tristage estimate` found it before the first run. */
  readonly measuredRatio: number;
  /** Pages that are not zero: the least that any algorithm has to send. */
  readonly contentPages: number;
  readonly predictions: readonly PredictionResult[];
  readonly ways: readonly WayResult[];
}

export interface PredictionResult {
  readonly algorithm: string;
  readonly downtimeMs: number;
  readonly totalMs: number;
  readonly pages: number;
}

export interface WayResult {
  readonly way: string;
  /** As `Prediction` names it; null where nobody predicts. */
  readonly predictedAs: string | null;
  readonly runs: readonly RunResult[];
  /** Why there is none, or not as many as were wanted; null where all is well. */
  readonly problem: string | null;
  /** Of the first run: milliseconds since the pause, and operations per second in these 10 ms. */
  readonly bins: readonly (readonly [ms: number, operationsPerSecond: number])[];
}

/** What a report says that is compared. Milliseconds; null or absent where nobody saw it. */
export interface RunResult {
  readonly totalMs: number;
  readonly downtimeMs: number | null;
  readonly blocktimeMs: number | null;
  /** Of a page that went as a delta, the share that crossed. */
  readonly pages: number;
  readonly faults: number | null;
  readonly networkFaultPercent: number | null;
  readonly longestGapMs?: number;
  /**
   * From the pause until the guest is back at 90 % of its speed; null if it never was while it was watched, and
   * absent where its speed before is not known.
   */
  readonly recoveryMs?: number | null;
  readonly rounds: number;
  readonly stopReason: string | null;
  // What older results do not have.
  readonly downtimeParts?: NonNullable<Report["downtimeParts"]>;
  /** At the handover. */
  readonly dirtyPages?: number;
  /** Pages that went as deltas, and what crossed after the handover, those by their shares. */
  readonly deltaPages?: number;
  readonly pushedPages?: number;
  /** Of a fault, the median. */
  readonly faultLatencyUs?: number;
}

export type Metric =
  | "totalMs"
  | "downtimeMs"
  | "blocktimeMs"
  | "pages"
  | "faults"
  | "networkFaultPercent"
  | "longestGapMs"
  | "recoveryMs"
  | "dirtyPages"
  | "deltaPages"
  | "pushedPages"
  | "faultLatencyUs";

/** One for each run in which it was observed. A guest that was never back at its speed took for ever, and counts as that. */
export function valuesOf(way: WayResult | undefined, metric: Metric): readonly number[] {
  const never = metric === "recoveryMs" ? Number.POSITIVE_INFINITY : undefined;
  return way?.runs.flatMap((run) => (run[metric] === null ? never : run[metric]) ?? []) ?? [];
}

/** The median of a way's runs at a point. */
export function medianOf(point: PointResult, way: string, metric: Metric): number | undefined {
  return spreadOf(valuesOf(wayOf(point, way), metric))?.median;
}

export function wayOf(point: PointResult, name: string): WayResult | undefined {
  return point.ways.find(({ way }) => way === name);
}

/** A part that was measured anew takes its place; the others are kept where the link was the same. */
export function withPart(
  earlier: Evaluation | undefined,
  part: Part,
  {
    measurement,
    bandwidth,
    points,
  }: Pick<Evaluation, "bandwidth" | "points"> & { measurement: Measurement },
): Evaluation {
  const kept = earlier?.bandwidth === bandwidth ? earlier : undefined;
  const all = [...(kept?.points.filter((point) => point.part !== part) ?? []), ...points];
  return {
    measurements: { ...kept?.measurements, [part]: measurement },
    bandwidth,
    points: PARTS.flatMap((it) => all.filter((point) => point.part === it)),
  };
}
