import { BIN_MS, type ThroughputBin } from "../guest/throughput.js";
import type { Report } from "../protocol/report.js";

/** Throughput from this long before the start belongs to the report. */
export const BEFORE_MS = 2000;
/** The chart's bins; see the limit in protocol/report.ts. */
const MAX_BINS = 100_000;

/** Operations between two times, by the source's clock. */
export interface OperationSpan {
  readonly startMs: number;
  readonly endMs: number;
  readonly operations: number;
}

/** Bins of one recorder, oldest first: each ends where the next begins, however late that was. */
export function spansOf(bins: readonly ThroughputBin[]): readonly OperationSpan[] {
  return bins.map(([startMs, operations], at) => {
    return { startMs, endMs: bins[at + 1]?.[0] ?? startMs + BIN_MS, operations };
  });
}

/** What of the spans lies before `ms`, when the guest was known to stand. */
export function until(ms: number, spans: readonly OperationSpan[]): readonly OperationSpan[] {
  return spans
    .filter(({ startMs }) => startMs < ms)
    .map((span) => ({ ...span, endMs: Math.min(span.endMs, ms) }));
}

/** Of a migration from `startMs` to `completedMs`; `spans` are those of both hosts, oldest first. */
export function guestOperations(
  spans: readonly OperationSpan[],
  { startMs, completedMs }: { readonly startMs: number; readonly completedMs: number },
): Report["guestOps"] {
  return {
    before: rate(spans, startMs - BEFORE_MS, startMs),
    during: rate(spans, startMs, completedMs),
    after: rate(spans, completedMs, Number.POSITIVE_INFINITY),
    longestGapMs: longestGap(spans, startMs, completedMs),
  };
}

/** Operations per second over the time between; null where nothing was observed. */
function rate(spans: readonly OperationSpan[], fromMs: number, toMs: number): number | null {
  const inside = spans.filter(({ startMs }) => startMs >= fromMs && startMs < toMs);
  const [first] = inside;
  const last = inside.at(-1);
  if (first === undefined || last === undefined) return null;
  const operations = inside.reduce((sum, span) => sum + span.operations, 0);
  return operations / ((last.endMs - first.startMs) / 1000);
}

/**
 * The longest time without an operation between start and completion: from the end of a span with
 * operations to the start of the next one that has any. Null where nothing was observed.
 */
function longestGap(spans: readonly OperationSpan[], fromMs: number, toMs: number): number | null {
  const busy = spans.filter(({ endMs, operations }) => endMs >= fromMs && operations > 0);
  if (busy.length === 0) return null;
  let longest = 0;
  let idleSinceMs: number | undefined;
  for (const { startMs, endMs } of busy) {
    if (idleSinceMs !== undefined && idleSinceMs <= toMs) {
      longest = Math.max(longest, startMs - idleSinceMs);
    }
    idleSinceMs = endMs;
  }
  return longest;
}

/** Spans relative to the pause, as operations per second. */
export function throughputChart(
  spans: readonly OperationSpan[],
  pauseMs: number,
): [ms: number, operationsPerSecond: number][] {
  return spans
    .slice(-MAX_BINS)
    .filter(({ startMs, endMs }) => endMs > startMs)
    .map(({ startMs, endMs, operations }) => [
      Math.round(startMs - pauseMs),
      Math.round((operations / (endMs - startMs)) * 1000),
    ]);
}
