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
