import assert from "node:assert/strict";
import { test } from "node:test";
import { MigrationTables } from "../../../src/source/migration-tables.js";
import { RateLimit } from "../../../src/source/rate-limit.js";
import { RoundLog } from "../../../src/source/round-log.js";

/** A migration of 1000 pages that began at 5 s by the clock. */
function logging() {
  const tables = MigrationTables.create(1000, RateLimit.createState());
  const log = new RoundLog(tables, 1000, 5000);
  return { log, counters: tables.counters };
}

test("a policy is told of each round what it sent, what the one before sent, and all together", () => {
  const { log, counters } = logging();

  let before = log.look(6000);
  counters.add("stageOnePages", 700);
  counters.add("zeroPages", 200);
  counters.add("skippedPages", 60);
  counters.add("deferredPages", 40);
  counters.add("bulkBytes", 3_000_000);
  log.note(before, 8000, { dirtyPagesAfter: 400, throttlePercent: 0, stopped: false });
  assert.deepEqual(log.facts(8001, 0.2), {
    pass: 1,
    pagesSent: 900,
    pagesSkipped: 100,
    // Before the first round stand all pages of the guest.
    pagesSentBefore: 1000,
    pagesSentInAll: 900,
    dirtyPages: 400,
    dirtyPagesBefore: 1000,
    totalPages: 1000,
    durationMs: 2000,
    elapsedMs: 3001,
    bytesPerSecond: 1_500_000,
    roundTripMs: 0.2,
    throttlePercent: 0,
  });

  before = log.look(9000);
  counters.add("stageOnePages", 350);
  counters.add("skippedPages", 50);
  counters.add("bulkBytes", 1_500_000);
  log.note(before, 10_000, { dirtyPagesAfter: 150, throttlePercent: 20, stopped: false });
  assert.deepEqual(log.facts(10_000, 0.1), {
    pass: 2,
    pagesSent: 350,
    pagesSkipped: 50,
    pagesSentBefore: 900,
    pagesSentInAll: 1250,
    dirtyPages: 150,
    dirtyPagesBefore: 400,
    totalPages: 1000,
    durationMs: 1000,
    elapsedMs: 5000,
    // 4.5 MB in the 3 s of rounds: the second between them does not count.
    bytesPerSecond: 1_500_000,
    roundTripMs: 0.1,
    throttlePercent: 20,
  });

  before = log.look(10_000);
  counters.add("stageOnePages", 140);
  counters.add("zeroPages", 2);
  counters.add("skippedPages", 8);
  counters.add("bulkBytes", 300_000);
  log.note(before, 11_000, { dirtyPagesAfter: 30, throttlePercent: 30, stopped: false });
  assert.deepEqual(log.facts(11_500, 0.1), {
    pass: 3,
    pagesSent: 142,
    pagesSkipped: 8,
    pagesSentBefore: 350,
    pagesSentInAll: 1392,
    dirtyPages: 30,
    dirtyPagesBefore: 150,
    totalPages: 1000,
    durationMs: 1000,
    elapsedMs: 6500,
    bytesPerSecond: 1_200_000,
    roundTripMs: 0.1,
    throttlePercent: 30,
  });
});

test("no bandwidth is known while no page had contents, however long a round took", () => {
  const { log, counters } = logging();
  const before = log.look(6000);
  counters.add("zeroPages", 1000);
  counters.add("bulkBytes", 100);
  log.note(before, 7000, { dirtyPagesAfter: 0, throttlePercent: 0, stopped: false });
  assert.deepEqual([log.bytesPerSecond, log.facts(7000, 1).bytesPerSecond], [null, null]);
});

test("nobody can be told of a round before one has ended", () => {
  assert.throws(() => logging().log.facts(6000, 1), RangeError);
});
