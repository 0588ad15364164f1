import assert from "node:assert/strict";
import { test } from "node:test";
import {
  fillWords,
  nextBelow,
  nextWord,
  scramble,
  seedRandom,
} from "../../../src/guest/programs/random.js";
import { power } from "../../../src/guest/programs/power.js";
import { MAX_THETA, makeZipf, nextItem } from "../../../src/guest/programs/zipf.js";
import { randomNumbers } from "../../random.js";
import { seed } from "../../seed.js";

test("xoshiro128** gives the numbers of its authors' reference code", () => {
  // https://prng.di.unimi.it/xoshiro128starstar.c from the state 1, 2, 3, 4.
  const random = { a: 1, b: 2, c: 3, d: 4 };
  const numbers = [1, 2, 3, 4, 5].map(() => nextWord(random));
  assert.deepEqual(numbers, REFERENCE);
});

/** By the definition, in 64-bit integers cut to 32 bits. */
const REFERENCE = (() => {
  const cut = (value: bigint) => BigInt.asUintN(32, value);
  const rotate = (value: bigint, by: bigint) => cut((value << by) | (value >> (32n - by)));
  let [s0, s1, s2, s3] = [1n, 2n, 3n, 4n];
  return [1, 2, 3, 4, 5].map(() => {
    const result = cut(rotate(cut(s1 * 5n), 7n) * 9n);
    const t = cut(s1 << 9n);
    s2 ^= s0;
    s3 ^= s1;
    s1 ^= s2;
    s0 ^= s3;
    s2 ^= t;
    s3 = rotate(s3, 11n);
    return Number(result);
  });
})();

test("fillWords gives the same numbers as nextWord and leaves the same state", () => {
  const [one, two] = [seedRandom(seed), seedRandom(seed)];
  const words = new Int32Array(1000);
  fillWords(one, words);
  const expected = Int32Array.from(words, () => nextWord(two));
  assert.deepEqual(words, expected);
  assert.deepEqual(one, two);
});

test("seeds and streams near each other draw numbers far from each other", () => {
  const firsts = new Set<number>();
  for (let near = 0; near < 100; near++) {
    for (let stream = 0; stream < 9; stream++) firsts.add(nextWord(seedRandom(near, stream)));
  }
  assert.equal(firsts.size, 900);
});

test("scramble is one-to-one", () => {
  const images = new Set(Array.from({ length: 100_000 }, (_, word) => scramble(word)));
  assert.equal(images.size, 100_000);
});

test("nextBelow draws each number below its limit about as often", () => {
  const random = seedRandom(seed);
  const counts = [0, 0, 0, 0, 0, 0, 0];
  for (let i = 0; i < 70_000; i++) counts[nextBelow(random, 7)]!++;
  for (const count of counts) assert.ok(Math.abs(count - 10_000) < 600, counts.join());
});

test("power agrees with Math.pow to ten digits", () => {
  const random = randomNumbers(seed);
  for (let i = 0; i < 20_000; i++) {
    const base = (1 + random(2 ** 31 - 1)) / 2 ** 31;
    const exponent = random(1_000_001) / 10_000;
    const expected = base ** exponent;
    if (expected < 1e-290) continue;
    const error = Math.abs(power(base, exponent) / expected - 1);
    assert.ok(error < 1e-10, `${String(base)} ** ${String(exponent)}`);
  }
});

test("Zipf draws its most frequent items as often as the distribution says", () => {
  const draws = 200_000;
  for (const theta of [0, 0.5, 0.99]) {
    const zipf = makeZipf(1000, theta, false);
    const random = seedRandom(seed);
    const counts = Array.from({ length: 1000 }, () => 0);
    for (let i = 0; i < draws; i++) counts[nextItem(zipf, random)]!++;
    const weights = counts.map((_, rank) => 1 / (rank + 1) ** theta);
    const whole = weights.reduce((sum, weight) => sum + weight, 0);
    const share = (values: readonly number[], to: number) =>
      values.slice(0, to).reduce((sum, value) => sum + value, 0);
    for (const to of [1, 2, 10, 100, 500]) {
      const drawn = share(counts, to) / draws;
      const expected = share(weights, to) / whole;
      // Gray's method is exact for the first two ranks and close for the rest.
      const tolerance = to <= 2 ? 0.005 : 0.03;
      assert.ok(
        Math.abs(drawn - expected) < tolerance,
        `theta ${String(theta)}, first ${String(to)}: ${String(drawn)}, not ${String(expected)}`,
      );
    }
  }
});

test("Zipf stays among its items for every number of them and every theta", () => {
  for (const count of [1, 2, 3, 4, 5, 7, 255, 256, 65_536]) {
    for (const theta of [0, 0.01, 0.5, 0.99, MAX_THETA]) {
      const zipf = makeZipf(count, theta, true);
      for (const value of Object.values(zipf)) assert.ok(Number.isFinite(value));
      const random = seedRandom(seed);
      for (let i = 0; i < 2000; i++) {
        const item = nextItem(zipf, random);
        assert.ok(Number.isInteger(item) && item >= 0 && item < count, String(item));
      }
    }
  }
});

test("Zipf, scattered, still reaches every item", () => {
  for (const count of [1, 2, 6, 100, 256, 1000]) {
    const { stride } = makeZipf(count, 0.99, true);
    const items = new Set(Array.from({ length: count }, (_, rank) => (rank * stride) % count));
    assert.equal(items.size, count);
  }
});
