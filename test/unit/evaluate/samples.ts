import type {
  Evaluation,
  PointResult,
  RunResult,
  WayResult,
} from "../../../scripts/evaluate/results.js";

/** Made-up results: nothing here was measured. */

export function run(changes: Partial<RunResult> = {}): RunResult {
  return {
    totalMs: 1000,
    downtimeMs: 10,
    blocktimeMs: 5,
    pages: 1000,
    faults: 3,
    networkFaultPercent: 1,
    longestGapMs: 12,
    recoveryMs: 40,
    rounds: 1,
    stopReason: null,
    ...changes,
  };
}

export function way(name: string, runs: readonly RunResult[], changes: Partial<WayResult> = {}) {
  return { way: name, predictedAs: null, runs, problem: null, bins: [], ...changes };
}

/** 1000 pages of 4096 bytes; at the evaluation's bandwidth they need a second. */
export function point(changes: Partial<PointResult> = {}): PointResult {
  return {
    part: "figures",
    name: "memtester, made up",
    guest: "memtester",
    settings: { rate: "1pages/s" },
    memoryBytes: 4_096_000,
    ratio: 0.25,
    measuredRatio: 0.24,
    contentPages: 1000,
    predictions: [{ algorithm: "three-stage", downtimeMs: 4, totalMs: 1100, pages: 1010 }],
    ways: [],
    ...changes,
  };
}

/** A point at which pre-copy and three-stage had one run each. */
export function duel(
  pre: Partial<RunResult>,
  ours: Partial<RunResult>,
  changes: Partial<PointResult> = {},
): PointResult {
  return point({
    ways: [way("pre-copy", [run(pre)]), way("three-stage", [run(ours)])],
    ...changes,
  });
}

export function evaluation(points: readonly PointResult[]): Evaluation {
  const parts = [...new Set(points.map(({ part }) => part))];
  const measurements = Object.fromEntries(
    parts.map((part) => [
      part,
      {
        command: `npm run evaluate -- --only ${part}`,
        build: `build of ${part}`,
        measuredAt: "2000-01-01",
        machine: "a machine that does not exist",
      },
    ]),
  );
  return { measurements, bandwidth: 4_096_000, points };
}
