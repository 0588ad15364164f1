import type { KeyValue } from "./kv-builder.js";
import { fillWords, scramble, type Random } from "./random.js";

/** YCSB's records: B. Cooper et al., "Benchmarking Cloud Serving Systems with YCSB", SoCC 2010. */
const FIELDS = 10;
export const FIELD_BYTES = 100;
export const VALUE_BYTES = FIELDS * FIELD_BYTES;

/** Share of reads in its core workloads; an update, which is the rest, writes one field. */
export const READ_SHARES = { A: 0.5, B: 0.95, C: 1 } as const;

/**
 * Records without end: key `user` and a scattered number, value of random characters. The next
 * record overwrites the value of the one before.
 */
export function* ycsbRecords(random: Random): Generator<KeyValue> {
  const words = new Int32Array(VALUE_BYTES / 4);
  const value = new Uint8Array(words.buffer);
  for (let number = 0; ; number++) {
    fillWords(random, words);
    for (let i = 0; i < words.length; i++) words[i] = printable(words[i]!);
    const user = String(scramble(number) >>> 0).padStart(10, "0");
    yield { key: Buffer.from(`user${user}`), value };
  }
}

/** Turns four random bytes into four characters, from space to underscore. */
export function printable(word: number): number {
  return (word & 0x3f3f3f3f) + 0x20202020;
}
