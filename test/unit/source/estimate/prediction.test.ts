import assert from "node:assert/strict";
import { test } from "node:test";
import type { Algorithm } from "../../../../src/protocol/report.js";
import { type MigrationModel, predict } from "../../../../src/source/estimate/prediction.js";
import { WorkingSet } from "../../../../src/source/estimate/working-set.js";

/** A link that carries 1000 pages a second with all that belongs to them: a page takes a millisecond. */
const PAGE_A_MS = 4108 * 1000;
/** Pauses and connections of every prediction, without a round trip. */
const HANDOVER_MS = 6;
const SETUP_MS = 100;

function model(
  counts: readonly (readonly [windowMs: number, pages: number])[],
  changes: Partial<MigrationModel> = {},
): MigrationModel {
  const windows = counts.map(([windowMs, pages]) => ({ windowMs, pages }));
  return {
    contentPages: 1000,
    bytesPerSecond: PAGE_A_MS,
    roundTripMs: 0,
    workingSet: new WorkingSet(windows, 1000),
    ...changes,
  };
}

function of(algorithm: Algorithm, its: MigrationModel) {
  const found = predict(its).find((prediction) => prediction.algorithm === algorithm);
  return found!;
}

const near = (found: number, expected: number) => {
  assert.ok(Math.abs(found - expected) < 1, `${String(found)} is not about ${String(expected)}`);
};

test("prediction for a guest that writes nothing: every page once, and one pause", () => {
  const idle = model([]);
  for (const { algorithm, pages, downtimeMs, totalMs } of predict(idle)) {
    near(pages, 1000);
    near(totalMs, 1000 + HANDOVER_MS + SETUP_MS);
    near(downtimeMs, algorithm === "stop-and-copy" ? 1000 + HANDOVER_MS : HANDOVER_MS);
  }
});

test("prediction has half a round trip in the pause, a whole one where pages are missing, and four outside it", () => {
  const rewriter = [
    [1, 400],
    [10_000, 400],
  ] as const;
  for (const [algorithm, counts, pauseMs] of [
    ["pre-copy", [], 50],
    ["three-stage", [], 50],
    ["three-stage", rewriter, 150],
    ["post-copy", [], 150],
  ] as const) {
    const close = of(algorithm, model(counts));
    const far = of(algorithm, model(counts, { roundTripMs: 100 }));
    near(far.downtimeMs - close.downtimeMs, pauseMs);
    near(far.totalMs - close.totalMs, pauseMs + 400);
  }
});

test("prediction for twice the bandwidth is half the time of the pages", () => {
  near(
    of("post-copy", model([], { bytesPerSecond: 2 * PAGE_A_MS })).totalMs,
    500 + HANDOVER_MS + SETUP_MS,
  );
});

test("pre-copy is predicted to stop after a round of fewer than 50 pages", () => {
  // 100 pages a second: a pass of 1 s leaves 50 dirty on average, of which 2 are dirty again in their turn.
  const found = of("pre-copy", model([[10_000, 1000]]));
  assert.equal(found.rounds, 2);
  // The 48 of the second round take 48 ms, in which 4.8 pages are written.
  near(found.pages, 1000 + 47.6 + 4.8);
  near(found.downtimeMs, 4.8 + HANDOVER_MS);
});

test("pre-copy is predicted to give up after a round that sent more than the one before", () => {
  // The guest writes the same 400 pages over and over, all of them within 100 ms.
  const found = of(
    "pre-copy",
    model([
      [100, 400],
      [10_000, 400],
    ]),
  );
  assert.ok(found.rounds < 29);
  // All of what it rewrites is left when it stops, and is sent while the guest stands still.
  assert.ok(found.downtimeMs > 200);
});

test("three-stage is predicted to send a page that is rewritten all the time once", () => {
  const found = of(
    "three-stage",
    model([
      [1, 400],
      [10_000, 400],
    ]),
  );
  near(found.pages, 1000);
  near(found.downtimeMs, HANDOVER_MS);
});

test("three-stage is predicted to send a page that is written once in a while twice at most", () => {
  const found = of("three-stage", model([[1000, 1000]]));
  assert.ok(found.pages >= 1000 && found.pages <= 2000);
  assert.equal(found.rounds, 1);
});
