import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type FailureCode, failureOf } from "../../src/failure.js";
import {
  encodeFrame,
  type Frame,
  FrameDecoder,
  HEADER_BYTES,
  MAGIC,
  nextSequence,
  readHeader,
} from "../../src/protocol/frame.js";
import { failsWith } from "../failures.js";
import "../seed.js";
import { cutAt, cuts } from "./chunks.js";

const LIMIT_BYTES = 64;

/** What a frame is before it has a place in a stream. */
interface Content {
  readonly type: number;
  readonly flags: number;
  readonly body: Uint8Array;
}

const content: fc.Arbitrary<Content> = fc.record({
  type: fc.integer({ min: 1, max: 255 }),
  flags: fc.nat(255),
  body: fc.uint8Array({ maxLength: LIMIT_BYTES }),
});
const contents = fc.array(content, { maxLength: 6 });

function streamOf(frames: readonly Content[]): Uint8Array {
  return Buffer.concat(
    frames.map(({ type, flags, body }, sequence) => encodeFrame(type, sequence, body, flags)),
  );
}

function contentOf({ type, flags, body }: Frame): Content {
  return { type, flags, body };
}

function plain({ type, flags, body }: Content): object {
  return { type, flags, body: Buffer.from(body).toString("hex") };
}

/** Feeds `chunks` one after the other; says what came out and what was left. */
function decode(chunks: Iterable<Uint8Array>, limitBytes = LIMIT_BYTES) {
  const decoder = new FrameDecoder(limitBytes);
  const frames: object[] = [];
  let failed: FailureCode | undefined;
  try {
    for (const chunk of chunks) {
      for (const frame of decoder.push(chunk)) frames.push(plain(contentOf(frame)));
    }
  } catch (error) {
    failed = failureOf(error).code;
  }
  return { frames, failed, missingBytes: failed === undefined ? decoder.missingBytes : undefined };
}

/**
 * The naive oracle: reads the whole stream as text of hexadecimal digits, with the layout as the
 * protocol document has it and nothing of the decoder.
 */
function oracle(stream: Uint8Array, limitBytes = LIMIT_BYTES): ReturnType<typeof decode> {
  const frames: object[] = [];
  let digits = Buffer.from(stream).toString("hex");
  const number = (from: number, bytes: number) => {
    const pairs = digits.slice(from * 2, (from + bytes) * 2).match(/../g) ?? [];
    return parseInt(pairs.reverse().join(""), 16);
  };
  const stop = (failed: FailureCode) => ({ frames, failed, missingBytes: undefined });
  while (digits.length >= 32) {
    if (!digits.startsWith("54524933")) return stop("NOT_TRISTAGE");
    if (number(4, 1) === 0) return stop("FRAME_UNKNOWN");
    if (number(6, 2) !== 0) return stop("FRAME_MALFORMED");
    if (number(12, 4) > limitBytes) return stop("FRAME_TOO_LARGE");
    if (number(8, 4) !== frames.length) return stop("FRAME_OUT_OF_ORDER");
    const end = (16 + number(12, 4)) * 2;
    if (digits.length < end) {
      return { frames, failed: undefined, missingBytes: (end - digits.length) / 2 };
    }
    frames.push({ type: number(4, 1), flags: number(5, 1), body: digits.slice(32, end) });
    digits = digits.slice(end);
  }
  const missingBytes = digits === "" ? 0 : 16 - digits.length / 2;
  return { frames, failed: undefined, missingBytes };
}

test("FrameDecoder gives back every frame, however the stream is cut", () => {
  fc.assert(
    fc.property(contents, cuts, (frames, places) => {
      const decoded = decode(cutAt(streamOf(frames), places));
      assert.deepEqual(decoded, {
        frames: frames.map(plain),
        failed: undefined,
        missingBytes: 0,
      });
    }),
  );
});

test("FrameDecoder gives the same frames for each of the ways to cut a stream in two or three", () => {
  const frames = [
    { type: 1, flags: 0, body: new Uint8Array() },
    { type: 0x40, flags: 3, body: Uint8Array.of(1, 2, 3, 4, 5) },
    { type: 255, flags: 255, body: new Uint8Array(7) },
  ];
  const stream = streamOf(frames);
  const whole = decode([stream]);
  assert.deepEqual(whole.frames, frames.map(plain));
  for (let first = 0; first <= stream.byteLength; first += 1) {
    for (let second = first; second <= stream.byteLength; second += 1) {
      assert.deepEqual(decode(cutAt(stream, [first, second])), whole);
    }
  }
});

test("FrameDecoder gives the same frames one byte at a time", () => {
  fc.assert(
    fc.property(contents, (frames) => {
      const bytes = Array.from(streamOf(frames), (byte) => Uint8Array.of(byte));
      assert.deepEqual(decode(bytes).frames, frames.map(plain));
    }),
  );
});

test("FrameDecoder yields no frame that was cut short, and knows how many bytes it lacks", () => {
  fc.assert(
    fc.property(contents, content, (frames, last) => {
      const before = streamOf(frames).byteLength;
      const stream = streamOf([...frames, last]);
      for (let end = before; end < stream.byteLength; end += 1) {
        const { frames: decoded, missingBytes } = decode([stream.subarray(0, end)]);
        assert.deepEqual(decoded, frames.map(plain));
        const inHeader = end - before < HEADER_BYTES;
        const due = before + HEADER_BYTES + (inHeader ? 0 : last.body.byteLength);
        assert.equal(missingBytes, end === before ? 0 : due - end);
      }
    }),
    { numRuns: 30 },
  );
});

test("FrameDecoder agrees with the oracle on streams with a few wrong bytes", () => {
  const damage = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 3 });
  fc.assert(
    fc.property(contents, damage, cuts, (frames, wrong, places) => {
      const stream = Uint8Array.from(streamOf(frames));
      for (const [at, byte] of wrong) {
        if (stream.byteLength > 0) stream[at % stream.byteLength] = byte;
      }
      assert.deepEqual(decode(cutAt(stream, places)), oracle(stream));
    }),
    { numRuns: 500 },
  );
});

test("FrameDecoder meets garbage with a failure and nothing else", () => {
  const magic = fc.constant(Uint8Array.of(0x54, 0x52, 0x49, 0x33));
  const garbage = fc.tuple(fc.oneof(magic, fc.constant(new Uint8Array())), fc.uint8Array());
  fc.assert(
    fc.property(garbage, ([start, rest]) => {
      const stream = Buffer.concat([start, rest]);
      assert.deepEqual(decode([stream]), oracle(stream));
    }),
    { numRuns: 1000 },
  );
});

test("FrameDecoder keeps no hold of the chunks that it was given", () => {
  fc.assert(
    fc.property(contents, cuts, (frames, places) => {
      const decoder = new FrameDecoder(LIMIT_BYTES);
      const decoded: Frame[] = [];
      for (const chunk of cutAt(streamOf(frames), places)) {
        const lent = chunk.slice();
        decoded.push(...decoder.push(lent));
        lent.fill(0xee);
      }
      assert.deepEqual(decoded.map(contentOf).map(plain), frames.map(plain));
    }),
  );
});

test("FrameDecoder stays failed once it has failed", () => {
  const decoder = new FrameDecoder(LIMIT_BYTES);
  const good = encodeFrame(1, 0, new Uint8Array());
  failsWith("NOT_TRISTAGE", () => [...decoder.push(new Uint8Array(HEADER_BYTES))]);
  failsWith("NOT_TRISTAGE", () => [...decoder.push(good)]);
});

test("FrameDecoder accepts a body of the limit and refuses one byte more before the body comes", () => {
  const atLimit = encodeFrame(9, 0, new Uint8Array(LIMIT_BYTES));
  assert.equal([...new FrameDecoder(LIMIT_BYTES).push(atLimit)].length, 1);

  const header = encodeFrame(9, 0, new Uint8Array(LIMIT_BYTES + 1)).subarray(0, HEADER_BYTES);
  const failure = failsWith("FRAME_TOO_LARGE", () => [
    ...new FrameDecoder(LIMIT_BYTES).push(header),
  ]);
  assert.deepEqual(failure, {
    code: "FRAME_TOO_LARGE",
    lengthBytes: LIMIT_BYTES + 1,
    limitBytes: LIMIT_BYTES,
  });
});

test("FrameDecoder takes a larger frame from the same chunk when the limit is raised between the two", () => {
  const decoder = new FrameDecoder(LIMIT_BYTES);
  const stream = streamOf([
    { type: 1, flags: 0, body: new Uint8Array(LIMIT_BYTES) },
    { type: 2, flags: 0, body: new Uint8Array(LIMIT_BYTES + 1) },
  ]);
  const types: number[] = [];
  for (const { type } of decoder.push(stream)) {
    types.push(type);
    decoder.limitBytes = LIMIT_BYTES + 1;
  }
  assert.deepEqual(types, [1, 2]);
});

test("FrameDecoder counts frames, and notices one that is lost, repeated or moved", () => {
  const [a, b, c] = [0, 1, 2].map((sequence) => encodeFrame(1, sequence, new Uint8Array()));
  const fails = (...chunks: (Uint8Array | undefined)[]) =>
    failsWith("FRAME_OUT_OF_ORDER", () => {
      const decoder = new FrameDecoder(LIMIT_BYTES);
      for (const chunk of chunks) Array.from(decoder.push(chunk!));
    });
  assert.deepEqual(fails(a, c), { code: "FRAME_OUT_OF_ORDER", sequence: 2, expected: 1 });
  assert.deepEqual(fails(a, a), { code: "FRAME_OUT_OF_ORDER", sequence: 0, expected: 1 });
  assert.deepEqual(fails(b, a), { code: "FRAME_OUT_OF_ORDER", sequence: 1, expected: 0 });
});

/** A good header with some of its bytes overwritten. */
function headerWith(patch: Readonly<Record<number, number>> = {}): Uint8Array {
  const bytes = encodeFrame(7, 5, new Uint8Array(), 9).slice();
  for (const [at, byte] of Object.entries(patch)) bytes[Number(at)] = byte;
  return bytes;
}
const read = (patch?: Readonly<Record<number, number>>) => readHeader(headerWith(patch), 5, 10);

test("readHeader gives type, flags, sequence and length", () => {
  const fields = { type: 7, flags: 9, sequence: 5, bodyBytes: 0 };
  assert.deepEqual(read(), fields);
  assert.deepEqual(read({ 12: 10 }), { ...fields, bodyBytes: 10 });
});

test("readHeader reads at the view's own offset", () => {
  const shifted = new Uint8Array(HEADER_BYTES + 3);
  shifted.set(headerWith(), 3);
  assert.equal(readHeader(shifted.subarray(3), 5, 10).type, 7);
});

test("readHeader refuses any other magic, and says what it found", () => {
  for (let bit = 0; bit < 32; bit += 1) {
    const at = bit >>> 3;
    const patch = { [at]: headerWith()[at]! ^ (1 << (bit & 7)) };
    const { found } = failsWith("NOT_TRISTAGE", () => read(patch));
    assert.equal(found, (MAGIC ^ (1 << bit)) >>> 0);
  }
});

test("readHeader refuses type 0", () => {
  assert.equal(failsWith("FRAME_UNKNOWN", () => read({ 4: 0 })).type, 0);
});

test("readHeader refuses each reserved bit", () => {
  for (let bit = 0; bit < 16; bit += 1) {
    failsWith("FRAME_MALFORMED", () => read({ [6 + (bit >>> 3)]: 1 << (bit & 7) }));
  }
});

test("readHeader checks length before sequence, as a stranger's frame must never be large", () => {
  assert.equal(failsWith("FRAME_TOO_LARGE", () => read({ 8: 6, 15: 0x80 })).limitBytes, 10);
  failsWith("FRAME_OUT_OF_ORDER", () => read({ 8: 6 }));
});

test("readHeader counts modulo 2^32", () => {
  assert.equal(nextSequence(0), 1);
  assert.equal(nextSequence(2 ** 32 - 1), 0);
  const last = encodeFrame(1, 2 ** 32 - 1, new Uint8Array());
  assert.equal(readHeader(last, 2 ** 32 - 1, 0).sequence, 2 ** 32 - 1);
});
