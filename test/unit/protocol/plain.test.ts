import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Packr } from "msgpackr";
import { unpackCpu } from "../../../src/protocol/codec.js";
import { MAX_NESTING } from "../../../src/protocol/limits.js";
import { plainDataProblem } from "../../../src/protocol/plain.js";
import { failsWith } from "../../failures.js";
import "../../seed.js";

const packr = new Packr({ useRecords: false, mapsAsObjects: true, moreTypes: false });

const plainData = fc.anything({
  values: [
    fc.integer(),
    fc.maxSafeInteger(),
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }),
    fc.double(),
    fc.string({ unit: "binary" }),
    fc.string({ minLength: 200, maxLength: 70_000 }),
    fc.boolean(),
    fc.constantFrom(null, undefined),
    fc.uint8Array(),
    fc.uint8Array({ minLength: 250, maxLength: 70_000 }),
  ],
  maxDepth: 4,
  maxKeys: 20,
});

function pack(value: unknown): Uint8Array {
  return Uint8Array.from(packr.pack(value));
}

/** The naive oracle: a recursive reader of the MessagePack specification's table; -1 is a refusal. */
function endOfValue(bytes: readonly number[], at: number, depth: number): number {
  const token = bytes[at] ?? -1;
  const number = (from: number, count: number) =>
    bytes.slice(from, from + count).reduce((sum, byte) => sum * 256 + byte, 0);
  const skip = (end: number) => (end <= bytes.length ? end : -1);
  const values = (from: number, count: number) => {
    if (count > 0 && depth === MAX_NESTING) return -1;
    let end = skip(from);
    for (let left = count; left > 0 && end !== -1; left -= 1) {
      end = endOfValue(bytes, end, depth + 1);
    }
    return end;
  };
  /** A value whose length stands in the `width` bytes after the token. */
  const sized = (width: number) => (at + 1 + width <= bytes.length ? number(at + 1, width) : NaN);
  const sizes: Readonly<Record<string, () => number>> = {
    "c4 d9": () => skip(at + 2 + sized(1)),
    "c5 da": () => skip(at + 3 + sized(2)),
    "c6 db": () => skip(at + 5 + sized(4)),
    "cc d0": () => skip(at + 2),
    "cd d1": () => skip(at + 3),
    "ca ce d2": () => skip(at + 5),
    "cb cf d3": () => skip(at + 9),
    "c0 c2 c3": () => skip(at + 1),
    dc: () => values(at + 3, sized(2)),
    dd: () => values(at + 5, sized(4)),
    de: () => values(at + 3, sized(2) * 2),
    df: () => values(at + 5, sized(4) * 2),
    d4: () => (number(at + 1, 2) === 0 ? skip(at + 3) : -1),
  };
  if (token === -1) return -1;
  if (token <= 0x7f || token >= 0xe0) return at + 1;
  if (token <= 0x8f) return values(at + 1, (token - 0x80) * 2);
  if (token <= 0x9f) return values(at + 1, token - 0x90);
  if (token <= 0xbf) return skip(at + 1 + token - 0xa0);
  const digits = token.toString(16);
  const known = Object.entries(sizes).find(([tokens]) => tokens.split(" ").includes(digits));
  return known?.[1]() ?? -1;
}

function isPlain(bytes: Uint8Array): boolean {
  return plainDataProblem(bytes) === undefined;
}

test("plainDataProblem finds none in plain data", () => {
  fc.assert(
    fc.property(plainData, (value) => {
      assert.equal(plainDataProblem(pack(value)), undefined);
    }),
  );
});

test("plainDataProblem notices whatever ends early, and whatever follows the end", () => {
  fc.assert(
    fc.property(
      plainData.map(pack).filter((bytes) => bytes.byteLength < 2000),
      (bytes) => {
        for (let end = 0; end < bytes.byteLength; end += 1) {
          assert.notEqual(plainDataProblem(bytes.subarray(0, end)), undefined);
        }
        assert.equal(plainDataProblem(Uint8Array.of(...bytes, 0)), "bytes follow it");
      },
    ),
    { numRuns: 30 },
  );
});

test("plainDataProblem agrees with the oracle on any bytes", () => {
  const token = fc.integer({ min: 0x80, max: 0xdf });
  const small = fc.nat(3);
  const bytes = fc.array(fc.oneof(token, small, fc.nat(255)), { maxLength: 24 });
  fc.assert(
    fc.property(bytes, (it) => {
      assert.equal(isPlain(Uint8Array.from(it)), endOfValue(it, 0, 0) === it.length);
    }),
    { numRuns: 3000 },
  );
});

test("plainDataProblem looks at the view alone, not at the buffer around it", () => {
  const around = Uint8Array.of(0x92, 0x01, 0x02, 0x03);
  assert.equal(isPlain(around.subarray(0, 3)), true);
  assert.equal(isPlain(around.subarray(0, 2)), false);
  assert.equal(isPlain(around.subarray(3)), true);
});

test("plainDataProblem refuses every extension but the one that is undefined", () => {
  const tail = new Uint8Array(300);
  for (let type = 0; type < 256; type += 1) {
    for (const [token, bytes] of [
      [0xd4, 3],
      [0xd5, 4],
      [0xd6, 6],
      [0xd7, 10],
      [0xd8, 18],
    ] as const) {
      const extension = Uint8Array.of(token, type, ...tail).subarray(0, bytes);
      assert.equal(isPlain(extension), token === 0xd4 && type === 0);
    }
    for (const head of [
      [0xc7, 1],
      [0xc8, 0, 1],
      [0xc9, 0, 0, 0, 1],
    ]) {
      assert.equal(isPlain(Uint8Array.of(...head, type, 0)), false);
    }
  }
  assert.equal(isPlain(Uint8Array.of(0xd4, 0, 1)), false);
  assert.equal(isPlain(Uint8Array.of(0xc1)), false);
});

test("plainDataProblem accepts MAX_NESTING levels and no level more", () => {
  const levels = (count: number) => Uint8Array.of(...new Uint8Array(count).fill(0x91), 0);
  assert.equal(isPlain(levels(MAX_NESTING)), true);
  assert.equal(isPlain(levels(MAX_NESTING + 1)), false);
});

test("a message whose references unfold to 2^40 values is refused at once", () => {
  const number = (id: number) => [0, 0, 0, id];
  const reference = (id: number) => [0xd6, 0x70, ...number(id)];
  const items = [[0xd6, 0x69, ...number(0), 0x91, 1]];
  for (let id = 1; id <= 40; id += 1) {
    items.push([0xd6, 0x69, ...number(id), 0x92, ...reference(id - 1), ...reference(id - 1)]);
  }
  // The byte at the end makes the library print what it has read so far.
  const bomb = Uint8Array.of(0xdc, 0, items.length, ...items.flat(), 1);
  failsWith("MESSAGE_MALFORMED", () => unpackCpu(bomb));
});
