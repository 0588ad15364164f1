import { BIN_MS, type ThroughputBin } from "../guest/throughput.js";
import type { Report } from "../protocol/report.js";
import type { MigrationTimes } from "./migration-times.js";

/** Throughput from this long before the start belongs to the report. */
export const BEFORE_MS = 2000;
/** The chart's bins; see the limit in protocol/report.ts. */
const MAX_BINS = 100_000;
/** Leaves room for what both recorders keep. */
const MAX_STANDSTILL_BINS = MAX_BINS / 2;

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
function until(ms: number, spans: readonly OperationSpan[]): readonly OperationSpan[] {
  return spans
    .filter(({ startMs }) => startMs < ms)
    .map((span) => ({ ...span, endMs: Math.min(span.endMs, ms) }));
}

/** What of the spans lies after `ms`, when the first operation was done. */
function from(ms: number, spans: readonly OperationSpan[]): readonly OperationSpan[] {
  return spans
    .filter(({ endMs }) => endMs > ms)
    .map((span) => ({ ...span, startMs: Math.max(span.startMs, ms) }));
}

/** No operations, in spans of the length of a bin, the last one shorter; longer ones if it took minutes. */
function standstill(startMs: number, endMs: number): readonly OperationSpan[] {
  const spanMs = Math.max(BIN_MS, (endMs - startMs) / MAX_STANDSTILL_BINS);
  return Array.from({ length: Math.max(0, Math.ceil((endMs - startMs) / spanMs)) }, (_, at) => ({
    startMs: startMs + at * spanMs,
    endMs: Math.min(endMs, startMs + (at + 1) * spanMs),
    operations: 0,
  }));
}

/**
 * The spans of both hosts by one clock, oldest first, with those between in which the guest stood. The destination watches from
 * the switchover on, so what it says of the time before the first operation belongs to the standstill. Where the
 * destination said nothing the end of that is not known, and nothing stands for it.
 */
export function acrossHosts(
  here: readonly OperationSpan[],
  watchedThere: readonly OperationSpan[],
  { stoodMs, firstOperationMs }: Pick<MigrationTimes, "stoodMs" | "firstOperationMs">,
): readonly OperationSpan[] {
  if (stoodMs === undefined) return here;
  const there =
    firstOperationMs === undefined ? watchedThere : from(firstOperationMs, watchedThere);
  const goesOnMs = there[0]?.startMs ?? firstOperationMs ?? stoodMs;
  return [...until(stoodMs, here), ...standstill(stoodMs, goesOnMs), ...there];
}

/** `spans` are those of both hosts, oldest first. */
export function guestOperations(
  spans: readonly OperationSpan[],
  times: MigrationTimes,
): Report["guestOps"] {
  const { startMs, completedMs = times.endMs } = times;
  return {
    before: rate(spans, startMs - BEFORE_MS, startMs),
    during: rate(spans, startMs, completedMs),
    after: rate(spans, completedMs, Number.POSITIVE_INFINITY),
    longestGapMs: longestGap(spans, times),
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
 * The longest time without an operation between start and completion: from the end of a span with operations to the
 * start of the next one that has any, or to where nobody watched any longer. The pause counts as in the downtime, from the
 * order to stop. Waits within a span stay invisible: a guest that waited 9 ms for a page and worked for one did work in
 * that bin. Null where no operation was seen.
 */
function longestGap(spans: readonly OperationSpan[], times: MigrationTimes): number | null {
  const { startMs: fromMs, completedMs: toMs = times.endMs, pauseMs, firstOperationMs } = times;
  const busy = spans.filter(({ endMs, operations }) => endMs >= fromMs && operations > 0);
  if (busy.length === 0) return null;
  let longest =
    pauseMs === undefined || firstOperationMs === undefined ? 0 : firstOperationMs - pauseMs;
  let idleSinceMs: number | undefined;
  const watchedMs = spans.at(-1)?.endMs ?? toMs;
  for (const { startMs, endMs } of [...busy, { startMs: watchedMs, endMs: watchedMs }]) {
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
