import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { LOOK_BACK } from "../../src/source/epoch-history.js";
import type { Algorithm } from "../../src/protocol/report.js";
import { preCopy } from "../../src/source/algorithms/pre-copy.js";
import { predict } from "../../src/source/estimate/prediction.js";
import { WorkingSet } from "../../src/source/estimate/working-set.js";
import { randomNumbers } from "../random.js";

/** Milliseconds for which a page is on the wire, so that a pass takes as many as there are pages. */
const PAGE_MS = 1;
const BYTES_PER_SECOND = (4096 + 12) * (1000 / PAGE_MS);

interface World {
  readonly pageCount: number;
  /** Pages that the guest writes, and how many writes there are in a millisecond. */
  readonly hotPages: number;
  readonly writesPerMs: number;
  readonly seed: number;
}

const worlds: fc.Arbitrary<World> = fc.record({
  pageCount: fc.constant(2000),
  hotPages: fc.integer({ min: 100, max: 2000 }),
  writesPerMs: fc.double({ min: 0.05, max: 2, noNaN: true }),
  seed: fc.nat(),
});

/** A guest that writes to random pages of its hot ones; `at` is the last write of each. */
class Writer {
  readonly at: number[];
  nowMs = 0;
  private due = 0;
  private readonly random: (below: number) => number;

  constructor(private readonly world: World) {
    this.at = Array.from({ length: world.pageCount }, () => Number.NEGATIVE_INFINITY);
    this.random = randomNumbers(world.seed);
  }

  run(ms: number): void {
    for (let step = 0; step < ms; step += 1) {
      this.nowMs += 1;
      this.due += this.world.writesPerMs;
      for (; this.due >= 1; this.due -= 1) {
        // Hot pages lie all over memory, as they do with a heap.
        const hot = this.random(this.world.hotPages);
        this.at[Math.floor((hot * this.world.pageCount) / this.world.hotPages)] = this.nowMs;
      }
    }
  }

  within(windowMs: number): number {
    return this.at.filter((ms) => ms > this.nowMs - windowMs).length;
  }
}

function modelOf(writer: Writer, pageCount: number) {
  const windows = [40, 80, 160, 320, 640, 1280, 2560, 5120, 10_240].map((windowMs) => ({
    windowMs,
    pages: writer.within(windowMs),
  }));
  const workingSet = new WorkingSet(windows, pageCount);
  const link = { bytesPerSecond: BYTES_PER_SECOND, roundTripMs: 0 };
  return { pageCount, contentPages: pageCount, ...link, workingSet, rewrittenShare: 1 };
}

/** One pass with deferral, page by page as it is done; returns the pages that crossed in all. */
function passOf(writer: Writer, pageCount: number): number {
  const markedMs: number[] = [];
  const deferred = new Set<number>();
  for (let page = 0; page < pageCount; page += 1) {
    const leftMs = (pageCount - page) * PAGE_MS;
    markedMs.push(writer.nowMs);
    if ((writer.at[page] ?? 0) > writer.nowMs - LOOK_BACK * leftMs) deferred.add(page);
    else writer.run(PAGE_MS);
  }
  const missed = markedMs.filter((ms, page) => deferred.has(page) || (writer.at[page] ?? 0) > ms);
  return pageCount - deferred.size + missed.length;
}

/** Holds what is predicted of a guest that has run for a while against the pages that `simulate` sends of it. */
function assertPredicted(
  algorithm: Algorithm,
  world: World,
  simulate: (writer: Writer, pageCount: number) => number,
): void {
  const writer = new Writer(world);
  writer.run(12_000);
  const predictions = predict(modelOf(writer, world.pageCount));
  const predicted = predictions.find((prediction) => prediction.algorithm === algorithm)!;
  const sent = simulate(writer, world.pageCount);
  const error = Math.abs(predicted.pages - sent) / sent;
  assert.ok(error < 0.1, `predicted ${String(predicted.pages)}, sent ${String(sent)}`);
}

test("the prediction for three-stage is what a simulated pass sends, within a tenth", () => {
  fc.assert(
    fc.property(worlds, (world) => {
      assertPredicted("three-stage", world, passOf);
    }),
    { numRuns: 25 },
  );
});

/** Pre-copy, page by page as it is done; returns the pages that crossed in all, those of the pause included. */
function roundsOf(writer: Writer, pageCount: number): number {
  const policy = preCopy({});
  const writtenSince = (ms: number) => (page: number) => (writer.at[page] ?? 0) > ms;
  let planned = Array.from({ length: pageCount }, (_, page) => page);
  let pagesSentInAll = 0;
  let before = { pagesSentBefore: pageCount, dirtyPagesBefore: pageCount };
  for (let pass = 1; ; pass += 1) {
    const startMs = writer.nowMs;
    let pagesSent = 0;
    for (const page of planned) {
      if (writtenSince(startMs)(page)) continue;
      pagesSent += 1;
      writer.run(PAGE_MS);
    }
    pagesSentInAll += pagesSent;
    const pagesSkipped = planned.length - pagesSent;
    planned = Array.from({ length: pageCount }, (_, page) => page).filter(writtenSince(startMs));
    const verdict = policy.afterPass({
      pass,
      pagesSent,
      pagesSkipped,
      pagesSentInAll,
      dirtyPages: planned.length,
      totalPages: pageCount,
      durationMs: writer.nowMs - startMs,
      elapsedMs: 0,
      bytesPerSecond: BYTES_PER_SECOND,
      roundTripMs: 0,
      throttlePercent: 0,
      ...before,
    });
    if (verdict.then === "stop") return pagesSentInAll + planned.length;
    before = { pagesSentBefore: pagesSent, dirtyPagesBefore: planned.length };
  }
}

test("the prediction for pre-copy is what simulated rounds send, within a tenth, where they converge", () => {
  const converging = worlds.filter(({ writesPerMs }) => writesPerMs < 0.6);
  fc.assert(
    fc.property(converging, (world) => {
      assertPredicted("pre-copy", world, roundsOf);
    }),
    { numRuns: 25 },
  );
});

test("predictions are numbers, and no algorithm sends fewer pages than there are", () => {
  const counts = fc.array(
    fc.record({ windowMs: fc.integer({ min: 1, max: 60_000 }), pages: fc.nat(100_000) }),
  );
  const models = fc.record({
    pageCount: fc.constant(100_000),
    contentPages: fc.nat(100_000),
    bytesPerSecond: fc.double({ min: 1000, max: 1e10, noNaN: true }),
    roundTripMs: fc.double({ min: 0, max: 1000, noNaN: true }),
    rewrittenShare: fc.double({ min: 0, max: 1, noNaN: true }),
    workingSet: counts.map((windows) => new WorkingSet(windows, 100_000)),
  });
  fc.assert(
    fc.property(models, (model) => {
      for (const { pages, downtimeMs, totalMs } of predict(model)) {
        assert.ok(Number.isFinite(totalMs) && totalMs >= downtimeMs && downtimeMs > 0);
        assert.ok(pages >= model.contentPages - 1);
      }
    }),
  );
});
