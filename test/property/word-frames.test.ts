import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { failureOf } from "../../src/failure.js";
import { encodeFrame, type Frame } from "../../src/protocol/frame.js";
import { WordFrames } from "../../src/transport/word-frames.js";
import "../seed.js";
import { cutAt, cuts } from "./chunks.js";

/** The bodies of a connection's frames: those of a channel have some numbers each. */
const bodies = fc.array(fc.uint8Array({ maxLength: 64 }), { minLength: 1, maxLength: 20 });

/** As a socket would: into the buffer that is asked for, as much of it as there is room for. */
function feed(frames: WordFrames, bytes: Uint8Array): void {
  let rest = bytes;
  while (rest.byteLength > 0) {
    const target = frames.next();
    assert.ok(target.byteLength > 0, "a read of nothing");
    const taken = Math.min(target.byteLength, rest.byteLength);
    target.set(rest.subarray(0, taken));
    rest = rest.subarray(taken);
    frames.filled(taken);
  }
}

const streamOf = (all: readonly Uint8Array[]) =>
  Buffer.concat(all.map((body, sequence) => encodeFrame(1 + (sequence % 255), sequence, body)));

function noFailure(error: Error): never {
  throw error;
}

test("WordFrames hears every frame once and in order, however the bytes come", () => {
  fc.assert(
    fc.property(bodies, cuts, (all, at) => {
      const frames = new WordFrames();
      const heard: string[] = [];
      const take = ({ type, body }: Frame) => {
        heard.push(`${String(type)} ${Buffer.from(body).toString("hex")}`);
      };
      frames.listen({ take, fail: noFailure });
      for (const chunk of cutAt(streamOf(all), at)) feed(frames, chunk);
      assert.deepEqual(
        heard,
        all.map((body, at) => `${String(1 + (at % 255))} ${Buffer.from(body).toString("hex")}`),
      );
    }),
  );
});

test("WordFrames keeps what came behind a frame for the next who listens", () => {
  fc.assert(
    fc.property(bodies, (all) => {
      const frames = new WordFrames();
      const heard: number[] = [];
      const take = ({ sequence }: Frame) => {
        heard.push(sequence);
        frames.hush();
      };
      const listener = { take, fail: noFailure };
      frames.listen(listener);
      feed(frames, streamOf(all));
      for (let at = 1; at <= all.length; at += 1) {
        assert.deepEqual(
          heard,
          Array.from({ length: at }, (_, sequence) => sequence),
        );
        frames.listen(listener);
      }
    }),
  );
});

test("WordFrames tells once of a stream that makes no sense, and hears nothing after it", () => {
  const frames = new WordFrames();
  const heard: string[] = [];
  const take = ({ type }: Frame) => {
    heard.push(String(type));
  };
  const fail = (error: Error) => {
    heard.push(failureOf(error).code);
  };
  frames.listen({ take, fail });
  feed(frames, encodeFrame(7, 0, new Uint8Array(4)));
  feed(frames, encodeFrame(7, 2, new Uint8Array(4)));
  for (let frame = 0; frame < 5000; frame += 1) feed(frames, encodeFrame(7, 1, new Uint8Array(4)));
  assert.deepEqual(heard, ["7", "FRAME_OUT_OF_ORDER"]);
});
