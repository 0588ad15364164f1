import { power } from "./power.js";
import { nextFraction, type Random } from "./random.js";

/**
 * Zipf's distribution as YCSB draws it (B. Cooper et al., "Benchmarking Cloud Serving Systems with
 * YCSB", SoCC 2010), by the method of J. Gray et al., "Quickly Generating Billion-Record Synthetic
 * Databases", SIGMOD 1994. Rank r of `count` is drawn in proportion to 1 / (r + 1) ** theta.
 *
 * Constants only, so plain data of the CPU state.
 */
export interface Zipf {
  readonly count: number;
  /** Rank r is item r × stride modulo count. */
  readonly stride: number;
  readonly zeta: number;
  readonly zetaOfTwo: number;
  readonly alpha: number;
  readonly eta: number;
}

/** Gray's method divides by 1 − theta. */
export const MAX_THETA = 0.999;

/**
 * `theta` is 0 (uniform) … `MAX_THETA`. Items of like rank lie side by side, or scattered over all
 * of them. Costs `count` powers, so it belongs into boot.
 */
export function makeZipf(count: number, theta: number, scattered: boolean): Zipf {
  let zeta = 0;
  for (let i = 1; i <= count; i++) zeta += power(1 / i, theta);
  const zetaOfTwo = 1 + power(0.5, theta);
  const eta = count > 2 ? (1 - power(2 / count, 1 - theta)) / (1 - zetaOfTwo / zeta) : 0;
  const stride = scattered ? scatteringStride(count) : 1;
  return { count, stride, zeta, zetaOfTwo, alpha: 1 / (1 - theta), eta };
}

/** An item, 0 … `count` − 1. */
export function nextItem(zipf: Zipf, random: Random): number {
  const product = nextRank(zipf, random) * zipf.stride;
  return product - Math.floor(product / zipf.count) * zipf.count; // faster than %, and as exact
}

/** A rank, 0 … `count` − 1; 0 is the most frequent. */
function nextRank(zipf: Zipf, random: Random): number {
  const fraction = nextFraction(random);
  const scaled = fraction * zipf.zeta;
  if (scaled < 1) return 0;
  if (scaled < zipf.zetaOfTwo) return 1;
  const share = power(zipf.eta * fraction - zipf.eta + 1, zipf.alpha);
  return Math.min(zipf.count - 1, Math.floor(zipf.count * share));
}

/**
 * The step that visits every item once and keeps like ranks far apart: the golden section of
 * `count`, without a common divisor. YCSB hashes ranks instead; this gives each item just one.
 */
function scatteringStride(count: number): number {
  let stride = Math.max(1, Math.floor(count * 0.618034));
  while (greatestCommonDivisor(stride, count) !== 1) stride++;
  return stride;
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}
