/**
 * Pseudo-random numbers whose whole state is plain data, so that it travels with the guest's CPU.
 *
 * The generator is xoshiro128** (D. Blackman, S. Vigna, "Scrambled Linear Pseudorandom Number
 * Generators", 2021): 32-bit integer operations only, so every engine draws the same numbers.
 */

/** Four signed 32-bit words, never all zero. */
export interface Random {
  a: number;
  b: number;
  c: number;
  d: number;
}

/** One-to-one over 32-bit words: the finalizer of MurmurHash3 (A. Appleby). */
export function scramble(word: number): number {
  let x = word | 0;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return (x ^ (x >>> 16)) | 0;
}

/** A generator for `seed`. Each `stream`, such as a vCPU, of one seed draws numbers of its own. */
export function seedRandom(seed: number, stream = 0): Random {
  const start = scramble(seed) + scramble(~stream);
  const step = 0x9e3779b9;
  return {
    a: scramble(start),
    b: scramble(start + step),
    c: scramble(start + 2 * step),
    d: scramble(start + 3 * step) | 1,
  };
}

/** The next number, 0 … 2³² − 1. */
export function nextWord(random: Random): number {
  const { a, b } = random;
  const times5 = Math.imul(b, 5);
  const result = Math.imul((times5 << 7) | (times5 >>> 25), 9);
  const c = random.c ^ a;
  const d = random.d ^ b;
  random.a = a ^ d;
  random.b = b ^ c;
  random.c = c ^ (b << 9);
  random.d = (d << 11) | (d >>> 21);
  return result >>> 0;
}

/** A number from 0 up to and without 1, in steps of 2⁻³². */
export function nextFraction(random: Random): number {
  return nextWord(random) / 2 ** 32;
}

/** A whole number from 0 up to and without `limit`, which is at most 2³². */
export function nextBelow(random: Random, limit: number): number {
  return ((nextWord(random) * limit) / 2 ** 32) >>> 0;
}

/** Fills `words` with the numbers that `nextWord` would give, several times as fast. */
export function fillWords(random: Random, words: Int32Array): void {
  let { a, b, c, d } = random;
  for (let i = 0; i < words.length; i++) {
    const times5 = Math.imul(b, 5);
    words[i] = Math.imul((times5 << 7) | (times5 >>> 25), 9);
    const shifted = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= shifted;
    d = (d << 11) | (d >>> 21);
  }
  random.a = a;
  random.b = b;
  random.c = c;
  random.d = d;
}
