import assert from "node:assert/strict";
import { test } from "node:test";
import type { Algorithm } from "../../../../src/protocol/report.js";
import type { MigrationModel } from "../../../../src/source/estimate/migration-model.js";
import { predict } from "../../../../src/source/estimate/prediction.js";
import { WorkingSet } from "../../../../src/source/estimate/working-set.js";

/** A link that carries 1000 pages a second with all that belongs to them: a page takes a millisecond. */
const PAGE_A_MS = 4108 * 1000;
/** Pauses and connections of every prediction, without a round trip. */
const HANDOVER_MS = 1.4;
const SETUP_MS = 30;

function model(
  counts: readonly (readonly [windowMs: number, pages: number])[],
  changes: Partial<MigrationModel> = {},
): MigrationModel {
  const windows = counts.map(([windowMs, pages]) => ({ windowMs, pages }));
  return {
    pageCount: 1000,
    contentPages: 1000,
    bytesPerSecond: PAGE_A_MS,
    roundTripMs: 0,
    workingSet: new WorkingSet(windows, 1000),
    rewrittenShare: 1,
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

test("prediction has half a round trip in the pause, a whole one where pages are missing, four outside it, and one more for each pass but the first", () => {
  const rewriter = [
    [1, 400],
    [10_000, 400],
  ] as const;
  for (const [algorithm, counts, pauseMs, morePasses] of [
    ["pre-copy", [], 50, 1],
    ["three-stage", [], 50, 0],
    ["three-stage", rewriter, 150, 0],
    ["post-copy", [], 150, 0],
  ] as const) {
    const close = of(algorithm, model(counts));
    const far = of(algorithm, model(counts, { roundTripMs: 100 }));
    near(far.downtimeMs - close.downtimeMs, pauseMs);
    near(far.totalMs - close.totalMs, pauseMs + 400 + morePasses * 100);
  }
});

test("prediction of downtime grows with the pages among which dirty ones are looked for", () => {
  const pageCount = 2 ** 20;
  const workingSet = new WorkingSet([], pageCount);
  const large = of("three-stage", model([], { pageCount, workingSet }));
  near(large.downtimeMs, HANDOVER_MS + 5.2);
});

test("prediction for twice the bandwidth is half the time of the pages", () => {
  near(
    of("post-copy", model([], { bytesPerSecond: 2 * PAGE_A_MS })).totalMs,
    500 + HANDOVER_MS + SETUP_MS,
  );
});

test("pre-copy is predicted to stop after a round of fewer than 50 pages", () => {
  // 100 pages a second, never the same within 10 s. Of the first round's pages those are skipped that are written before their
  // turn: 1000 - 0.05 ms takes 952 ms. The next sends what was written meanwhile, a tenth each time: 95, then 9.5, which is few.
  const found = of("pre-copy", model([[10_000, 1000]]));
  assert.equal(found.rounds, 3);
  near(found.pages, 952.4 + 95.2 + 9.5 + 1);
  near(found.downtimeMs, 1 + HANDOVER_MS);
});

test("pre-copy is predicted to skip a page that was written before its round and again before its turn", () => {
  // 400 pages, all of them written within 100 ms. The first round sends the 600 others, and those whose turn comes before they are
  // written: n = 1000 - (400 - 20,000 / n) has 632. Later ones have 400 each: n = 400 - (400 - 20,000 / n) has 141. So it goes on
  // until three times the memory was sent, after 17 of them.
  const found = of(
    "pre-copy",
    model([
      [100, 400],
      [10_000, 400],
    ]),
  );
  assert.equal(found.rounds, 18);
  assert.ok(Math.abs(found.pages - (632.5 + 17 * 141.4 + 400)) < 5, String(found.pages));
  near(found.downtimeMs, 400 + HANDOVER_MS);
});

test("pre-copy is predicted to end by what it sent of all memory, be it zero or not", () => {
  // As in the test before, with 2000 zero pages more. Three times the memory is 9000 now, which 29 rounds do not reach.
  const windows = [
    { windowMs: 100, pages: 400 },
    { windowMs: 10_000, pages: 400 },
  ];
  const workingSet = new WorkingSet(windows, 3000);
  assert.equal(of("pre-copy", model([], { pageCount: 3000, workingSet })).rounds, 29);
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

test("prediction for three-stage where little of a page changes: nothing is deferred, and what is dirty goes in part", () => {
  // Of 400 pages all are written in half a second, evenly: so 300 after the turn of a page, on the average of a pass of a second.
  const counts = [
    [500, 400],
    [10_000, 400],
  ] as const;
  const sent = (rewrittenShare: number) => of("three-stage", model(counts, { rewrittenShare }));
  near(sent(0.25).pages, 1000 + 300 * (0.25 + 16 / 4096));
  near(sent(0.25).totalMs, 1076 + HANDOVER_MS + SETUP_MS);
  assert.equal(sent(0.75).pages, sent(1).pages);
});
