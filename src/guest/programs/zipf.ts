import { nextFraction, type Random } from "./random.js";

/**
 * Zipf's distribution as YCSB draws it: J. Gray et al., "Quickly Generating Billion-Record Synthetic
 * Databases", SIGMOD 1994, section 3.2; B. Cooper et al., "Benchmarking Cloud Serving Systems with YCSB",
 * SoCC 2010. Rank r of `count` is drawn in proportion to 1 / (r + 1) ** theta.
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
 * The step that visits every item once and keeps like ranks farthest apart: the golden section of
 * `count`, and without a common divisor. YCSB hashes ranks instead, which leaves a third of all items out.
 */
function scatteringStride(count: number): number {
  let stride = Math.max(1, Math.floor(count * 0.618034));
  while (greatestCommonDivisor(stride, count) !== 1) stride++;
  return stride;
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}

/** Room for the bits of one number within a call. */
const float = new Float64Array(1);
const halves = new Uint32Array(float.buffer);

/**
 * `base` ** `exponent` for 0 < base ≤ 1 and exponent ≥ 0, to about ten digits.
 *
 * `Math.pow` may differ in its last digit between engines and C libraries, and a single rank that
 * differs would make another guest of one that moved between them. Sums and products never differ.
 */
export function power(base: number, exponent: number): number {
  float[0] = base;
  const high = halves[1]!;
  halves[1] = (high & 0x000fffff) | 0x3ff00000; // leaves the mantissa, 1 … 2
  const octave = (high >>> 20) - 1023;
  const result = exponent * (octave + log2(float[0]));
  const whole = Math.round(result);
  if (whole < -1022) return 0;
  float[0] = exp2(result - whole);
  halves[1] += whole << 20; // times 2 ** whole
  return float[0];
}

/** For 1 ≤ x < 2: the series of the inverse hyperbolic tangent, around √2. */
function log2(x: number): number {
  const s = (x - Math.SQRT2) / (x + Math.SQRT2);
  const q = s * s;
  const tail = q * (1 / 7 + q * (1 / 9 + q * (1 / 11 + q * (1 / 13))));
  return 0.5 + 2 * Math.LOG2E * s * (1 + q * (1 / 3 + q * (1 / 5 + tail)));
}

/** For −½ ≤ x ≤ ½: Taylor's series. */
function exp2(x: number): number {
  const y = x * Math.LN2;
  const tail = y * (1 / 720 + y * (1 / 5040 + y * (1 / 40320 + y * (1 / 362880))));
  return 1 + y * (1 + y * (1 / 2 + y * (1 / 6 + y * (1 / 24 + y * (1 / 120 + tail)))));
}
