import { BIN_MS } from "../../src/guest/throughput.js";

/** Of several runs: the median, and how far they lie apart. */
export interface Spread {
  readonly median: number;
  readonly mean: number;
  readonly least: number;
  readonly most: number;
  readonly runs: number;
}

/** Undefined where nothing was measured: no number stands for that. */
export function spreadOf(values: readonly number[]): Spread | undefined {
  const sorted = [...values].sort((a, b) => a - b);
  const [least] = sorted;
  const most = sorted.at(-1);
  if (least === undefined || most === undefined) return undefined;
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? most;
  const median = sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? least) + upper) / 2;
  const mean = sorted.reduce((sum, value) => sum + value, 0) / sorted.length;
  return { median, mean, least, most, runs: sorted.length };
}

/** By how many percent `ours` is below `theirs`; negative where it is above. */
export function reductionPercent(ours: number, theirs: number): number {
  return theirs === 0 ? 0 : (1 - ours / theirs) * 100;
}

/** Milliseconds that pages need to cross once, and nothing else: no migration is faster. */
export function limitMs(contentPages: number, pageBytes: number, bytesPerSecond: number): number {
  return (contentPages * pageBytes * 1000) / bytesPerSecond;
}

/** A speed held this long is no accident of one bin. */
const STEADY_MS = 100;
const RECOVERED = 0.9;

/**
 * Milliseconds from the pause until the guest works again and does so, over the next 100 ms, at 90 % of `before`; null
 * where it never does. A bin is [milliseconds since the pause, operations per second], and lasts until the next one
 * begins: where the machine was busy longer than 10 ms.
 */
export function recoveryMs(
  bins: readonly (readonly [number, number])[],
  before: number,
): number | null {
  const spans = bins.map(([startMs, speed], at) => {
    return { startMs, endMs: bins[at + 1]?.[0] ?? startMs + BIN_MS, speed };
  });
  const watchedMs = spans.at(-1)?.endMs ?? 0;
  for (const [at, { startMs, speed }] of spans.entries()) {
    if (startMs < 0 || speed === 0) continue;
    const toMs = startMs + STEADY_MS;
    if (toMs > watchedMs) break;
    let operations = 0;
    for (const span of spans.slice(at)) {
      if (span.startMs >= toMs) break;
      operations += span.speed * (Math.min(span.endMs, toMs) - span.startMs);
    }
    if (operations / STEADY_MS >= RECOVERED * before) return startMs;
  }
  return null;
}
