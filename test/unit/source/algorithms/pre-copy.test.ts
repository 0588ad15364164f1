import assert from "node:assert/strict";
import { test } from "node:test";
import { preCopy, type PreCopyOptions } from "../../../../src/source/algorithms/pre-copy.js";
import { passFacts, stopFacts } from "./facts.js";

type Changes = Parameters<typeof passFacts>[0];

/** Why the rounds end, or the throttle of the next round. */
function after(changes: Changes, options: PreCopyOptions = {}): string | number | null {
  const verdict = preCopy(options).afterPass(passFacts(changes));
  return verdict.then === "stop" ? verdict.reason : verdict.throttlePercent;
}

test("pre-copy goes on while no rule of Xen's ends it, at full speed", () => {
  assert.equal(after({}), 0);
  // However little is dirty: Xen does not look at it.
  assert.equal(after({ dirtyPages: 0 }), 0);
});

test("pre-copy ends when a round sent more than the one before, and not when it sent as much", () => {
  assert.equal(after({ pagesSent: 401, pagesSentBefore: 400 }), "grew");
  assert.equal(after({ pagesSent: 400, pagesSentBefore: 400 }), 0);
});

test("pre-copy's first round never grew, since all of memory stands before it", () => {
  const first = { pass: 1, pagesSentBefore: 1000, pagesSentInAll: 1000 };
  assert.equal(after({ ...first, pagesSent: 1000, pagesSkipped: 0 }), 0);
});

test("pre-copy ends after 29 rounds, and not after 28", () => {
  assert.equal(after({ pass: 28 }), 0);
  assert.equal(after({ pass: 29 }), "max-rounds");
});

test("pre-copy ends when a round had fewer than 50 pages to send, skipped ones included", () => {
  assert.equal(after({ pagesSent: 49, pagesSkipped: 0 }), "few-pages");
  assert.equal(after({ pagesSent: 50, pagesSkipped: 0 }), 0);
  assert.equal(after({ pagesSent: 9, pagesSkipped: 40 }), "few-pages");
  assert.equal(after({ pagesSent: 9, pagesSkipped: 41 }), 0);
});

test("pre-copy ends when more than three times the memory was sent, and not before", () => {
  assert.equal(after({ pagesSentInAll: 3000 }), 0);
  assert.equal(after({ pagesSentInAll: 3001 }), "sent-3x");
});

test("pre-copy ends after --max-rounds rounds instead of 29", () => {
  assert.equal(after({ pass: 2 }, { maxRounds: 2 }), "max-rounds");
  assert.equal(after({ pass: 29 }, { maxRounds: 30 }), 0);
});

test("pre-copy ends when what is dirty can be sent within --downtime-limit", () => {
  // 200 pages of 4096 bytes at 1 MB/s.
  assert.equal(after({ dirtyPages: 200 }, { downtimeLimitMs: 819.2 }), "downtime-limit");
  assert.equal(after({ dirtyPages: 200 }, { downtimeLimitMs: 819.1 }), 0);
  assert.equal(
    after({ dirtyPages: 0, bytesPerSecond: null }, { downtimeLimitMs: 1 }),
    "downtime-limit",
  );
  assert.equal(after({ dirtyPages: 1, bytesPerSecond: null }, { downtimeLimitMs: 1e6 }), 0);
});

const THROTTLE = { startPercent: 20, stepPercent: 10, maxPercent: 45 };

test("pre-copy slows a guest down step by step while it writes more than half of what is sent", () => {
  const throttle = THROTTLE;
  const writing = { pagesSent: 400, dirtyPages: 201 };
  const steps = [0, 20, 30, 40, 45].map((throttlePercent) =>
    after({ ...writing, throttlePercent }, { throttle }),
  );
  assert.deepEqual(steps, [20, 30, 40, 45, 45]);
  assert.equal(after({ pagesSent: 400, dirtyPages: 200, throttlePercent: 30 }, { throttle }), 30);
});

test("pre-copy that may slow the guest down does not end because a round grew", () => {
  const grown = { pagesSent: 500, pagesSentBefore: 400, throttlePercent: 45 };
  assert.equal(after(grown), "grew");
  assert.equal(after(grown, { throttle: THROTTLE }), 45);
});

test("pre-copy that slows the guest down ends with three times the memory only at the last step", () => {
  const much = { pagesSentInAll: 3001 };
  assert.equal(after({ ...much, throttlePercent: 40 }, { throttle: THROTTLE }), 40);
  assert.equal(after({ ...much, throttlePercent: 45 }, { throttle: THROTTLE }), "sent-3x");
  assert.equal(after({ pass: 29, throttlePercent: 40 }, { throttle: THROTTLE }), "max-rounds");
});

test("pre-copy sends the rest before the handover, however much it is", () => {
  assert.deepEqual(preCopy({}).ending(stopFacts(1000)), { rest: "before", choice: null });
});
