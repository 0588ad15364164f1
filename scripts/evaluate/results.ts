import type { Part } from "./plan.js";

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

/** What a report says that is compared. Milliseconds. */
export interface RunResult {
  readonly totalMs: number;
  readonly downtimeMs: number;
  readonly blocktimeMs: number;
  readonly pages: number;
  readonly faults: number;
  readonly networkFaultPercent: number;
  readonly longestGapMs: number;
  /** From the pause until the guest is back at 90 % of its speed; null if it was not while it was watched. */
  readonly recoveryMs: number | null;
  readonly rounds: number;
  readonly stopReason: string | null;
}

export type Metric =
  | "totalMs"
  | "downtimeMs"
  | "blocktimeMs"
  | "pages"
  | "faults"
  | "networkFaultPercent"
  | "longestGapMs"
  | "recoveryMs";

export function valuesOf(way: WayResult | undefined, metric: Metric): readonly number[] {
  return way?.runs.flatMap((run) => run[metric] ?? []) ?? [];
}

export function wayOf(point: PointResult, name: string): WayResult | undefined {
  return point.ways.find(({ way }) => way === name);
}
