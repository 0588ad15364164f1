import assert from "node:assert/strict";
import { test } from "node:test";
import { PassPace } from "../../../src/source/pass-pace.js";

/** Within a tenth: what the pace was taken for at first keeps a little weight. */
function assertAbout(found: number, expected: number): void {
  assert.ok(
    Math.abs(found - expected) <= expected / 10,
    `${String(found)}, not ${String(expected)}`,
  );
}

/** Chunks of so many pages, each of which takes `chunkMs`. */
function send(pace: PassPace, chunkPages: readonly number[], chunkMs: number): void {
  let nowMs = 0;
  for (const pages of chunkPages) {
    pace.begin(nowMs);
    pace.sent(pages);
    nowMs += chunkMs;
  }
  pace.begin(nowMs);
}

test("before anything was sent the limit is the pace", () => {
  assertAbout(new PassPace(4096 * 1000, 1).timeFor(2000), 2000);
});

test("without a limit the pace is taken for that of a fast link at first", () => {
  assertAbout(new PassPace(undefined, 1).timeFor(2 ** 18), 1074);
});

test("the pace is soon that of the pages that were sent, whatever the limit allows", () => {
  const pace = new PassPace(undefined, 1);
  send(pace, Array<number>(40).fill(256), 256);
  assertAbout(pace.timeFor(1000), 1000);
});

test("chunks of which nothing was sent do not change the pace", () => {
  const pace = new PassPace(undefined, 1);
  send(pace, [...Array<number>(40).fill(256), ...Array<number>(400).fill(0)], 256);
  assertAbout(pace.timeFor(1000), 1000);
});

test("channels that share a pass share what is left", () => {
  const pace = new PassPace(4096 * 1000, 4);
  assertAbout(pace.timeFor(2000), 2000);
  // Each of the four sends a page in four milliseconds.
  send(pace, Array<number>(40).fill(256), 1024);
  assertAbout(pace.timeFor(2000), 2000);
});
