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
const STEADY_BINS = 10;
const RECOVERED = 0.9;

/**
 * Milliseconds from the pause until the mean of the next ten bins reaches 90 % of `before`; null where it never
 * does. A bin is [milliseconds since the pause, operations per second].
 */
export function recoveryMs(
  bins: readonly (readonly [number, number])[],
  before: number,
): number | null {
  const after = bins.filter(([ms]) => ms >= 0);
  for (let first = 0; first + STEADY_BINS <= after.length; first += 1) {
    const window = after.slice(first, first + STEADY_BINS);
    const mean = window.reduce((sum, [, operations]) => sum + operations, 0) / STEADY_BINS;
    if (mean >= RECOVERED * before) return window[0]?.[0] ?? null;
  }
  return null;
}
