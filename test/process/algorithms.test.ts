import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import type { MigrateRequest } from "../../src/host/service.js";
import type { Report } from "../../src/protocol/report.js";
import { Daemon } from "./daemon.js";
import { guestModule } from "./modules.js";
import { assertUnmoved } from "./same-guest.js";

/** Slow enough that the guest gets to write while it moves, fast enough for a test. */
const SLOW = { maxBandwidth: 16 * 2 ** 20 };
const MEMORY = ["--memory", "4MiB"];

/** Where guests go to; each ends there with its test. */
let b: Daemon;
let c: Daemon;
before(async () => {
  [b, c] = await Promise.all([Daemon.dest(), Daemon.dest()]);
});
after(async () => {
  await Promise.all([b, c].map((host) => host[Symbol.asyncDispose]()));
});

afterEach(async () => {
  await Promise.all([b, c].map((host) => host.clear()));
});

type Request = Omit<MigrateRequest, "to">;

/** Moves the guest, and waits until the destination is done with it as well. */
async function move(from: Daemon, to: Daemon, request: Request): Promise<Report> {
  const migrationId = await from.migrate(to, request);
  const report = await from.report(migrationId);
  assert.equal(report.outcome, "completed", report.failure?.text);
  await to.report(migrationId);
  assert.equal(report.verified.mismatches, 0);
  return report;
}

/** Writes all of its memory over and over, far faster than `SLOW` can carry it. */
const HOT = "random-writer rate=400000/s working-set=50%";

test("pre-copy stops a guest that it cannot catch, sends the rest, and tells each round", async () => {
  await using a = await Daemon.source(HOT, ...MEMORY);
  const report = await move(a, b, { ...SLOW, algorithm: "pre-copy" });
  assert.ok(
    ["grew", "max-rounds", "sent-3x"].includes(report.stopReason ?? ""),
    report.stopReason!,
  );
  const stopped = report.rounds.map((round) => round.stopped);
  assert.deepEqual(stopped, [...stopped.slice(1).fill(false), true], "one pass, the last");
  const last = report.rounds.at(-1)!;
  assert.ok(last.pagesSent > 450, "half of its memory was dirty");
  assert.equal(last.dirtyPagesAfter, 0);
  assert.ok(report.rounds[0]!.pagesSkipped > 0, "it sent pages that were dirty again already");
  const sent = report.rounds.reduce((sum, { pagesSent }) => sum + pagesSent, 0);
  assert.equal(sent, report.pages.stageOne + report.pages.zero);
  assert.deepEqual([report.pages.dirty, report.pages.stageThree, report.faults?.count], [0, 0, 0]);
  const { downtimeParts, times } = report;
  assert.ok(
    (downtimeParts?.copyMs ?? 0) > 0.7 * (times.downtimeMs ?? 0),
    "what it stood still for",
  );
  assert.equal(report.choice, null);
  await assertUnmoved(b);
});

test("pre-copy makes no more rounds than it may", async () => {
  await using a = await Daemon.source("random-writer rate=3000/s", ...MEMORY);
  const report = await move(a, b, { ...SLOW, algorithm: "pre-copy", maxRounds: 1 });
  assert.equal(report.stopReason, "max-rounds");
  assert.deepEqual(
    report.rounds.map(({ stopped }) => stopped),
    [false, true],
  );
});

test("pre-copy stops as soon as the rest fits into --downtime-limit", async () => {
  await using a = await Daemon.source("random-writer rate=3000/s", ...MEMORY);
  // All of its memory takes a quarter of a second.
  const report = await move(a, b, { ...SLOW, algorithm: "pre-copy", downtimeLimitMs: 2000 });
  assert.equal(report.stopReason, "downtime-limit");
  assert.equal(report.rounds.length, 2);
});

test("pre-copy slows down a guest that it cannot catch, and lets it go when it is cancelled", async () => {
  await using a = await Daemon.source("random-writer working-set=50%", ...MEMORY);
  await using dest = await Daemon.dest();
  const throttle = { startPercent: 90, stepPercent: 9, maxPercent: 99 };
  // So many rounds that the test can look at a guest that is slowed down.
  const request = { ...SLOW, maxRounds: 1000, throttle, algorithm: "pre-copy" } as const;
  const free = (await a.progress(1_000_000)).operationsPerSecond;
  const migrationId = await a.migrate(dest, { ...request, maxBandwidth: 2 ** 21 });
  await a.guestWhere(({ operationsPerSecond }) => operationsPerSecond < free / 4);
  await a.cancel(migrationId);
  const report = await a.report(migrationId);
  assert.equal(report.outcome, "cancelled");
  await a.guestWhere(({ operationsPerSecond }) => operationsPerSecond > free / 2);

  const moved = await a.report(await a.migrate(dest, request));
  assert.equal(moved.outcome, "completed");
  const [first, second] = moved.rounds.map(({ throttlePercent }) => throttlePercent);
  assert.deepEqual([first, second], [0, 90]);
  await dest.guestWhere(({ operationsPerSecond }) => operationsPerSecond > free / 2);
});

test("post-copy sends every page once, after the handover, and none that was never written", async () => {
  const module = guestModule(`
    boot(memory) {
      for (let page = 0; page < 500; page += 1) memory.store32(page * 4096, page + 1);
      return [{ at: 0 }];
    },
    step(memory, cpu, operations) {
      for (let left = operations; left > 0; left -= 1) {
        cpu.at = (cpu.at + 7) % 500;
        memory.store32(cpu.at * 4096 + 8, left);
      }
      return operations;
    },
    operationsPerSecond: () => 20000`);
  await using a = await Daemon.source(module, ...MEMORY);
  const report = await move(a, b, { ...SLOW, algorithm: "post-copy" });
  assert.deepEqual([report.rounds, report.stopReason, report.choice], [[], null, null]);
  const { stageOne, stageThree, dirty, unchanged, mostSendsOfOnePage } = report.pages;
  assert.deepEqual([stageOne, stageThree, dirty, unchanged], [0, 500, 500, 0]);
  assert.equal(mostSendsOfOnePage, 1);
  assert.ok((report.faults?.count ?? 0) > 0, "it ran before its pages were there");
  assert.equal(report.times.passMs, null);
});

for (const [how, stride] of [
  ["walks", 1],
  ["strides", 16],
] as const) {
  test(`a guest that ${how} over memory which it lacks finds pages that came along with others`, async () => {
    const guest = `sequential-writer rate=100000/s working-set=100% stride=${String(stride)}`;
    await using a = await Daemon.source(guest, "--memory", "32MiB");
    // 32,000 pages a second. What is asked for goes first, and at `SLOW` a guest could ask for all that may leave.
    const request = { maxBandwidth: 128 * 2 ** 20, algorithm: "post-copy" } as const;
    const { pages, faults } = await move(a, b, request);
    assert.ok(pages.prepulled > 0, "nothing was sent along with what it asked for");
    const { prepullHits = 0, prepullMisses = 0 } = faults ?? {};
    assert.ok(prepullHits > 0, "it touched nothing of that");
    // No page of this guest is zero, and none was sent before: all came with their contents.
    assert.equal(prepullHits + prepullMisses, pages.prepulled);
    assert.ok(prepullMisses >= 0);
    const { pulled, prepulled, pushed, stageThree, total } = pages;
    assert.deepEqual([pulled + prepulled + pushed, stageThree], [total, total]);
  });
}

test("a guest that came by post-copy and moves on at once has no page deferred for having come", async () => {
  const module = guestModule(`
    boot(memory) {
      for (let page = 0; page < 500; page += 1) memory.store32(page * 4096, page + 1);
      return [{}];
    },
    step(memory, cpu, operations) {
      memory.loadI32(0);
      return operations;
    },
    operationsPerSecond: () => 1000`);
  await using here = await Daemon.source(module, ...MEMORY, "--listen", "127.0.0.1:0");
  await using there = await Daemon.dest();
  await move(here, there, { algorithm: "post-copy" });
  // At this rate a pass looks back on more time than the guest has been here.
  const report = await move(there, here, { maxBandwidth: 2 ** 20 });
  assert.equal(report.outcome, "completed");
  assert.deepEqual([report.pages.stageOne, report.pages.deferred], [500, 0]);
});

test("without checksums a guest arrives as well, and nothing is said to be verified", async () => {
  await using a = await Daemon.source("hot-cold rate=20000/s", ...MEMORY);
  await using dest = await Daemon.dest();
  const report = await move(a, dest, { ...SLOW, tuning: { checksums: false } });
  assert.deepEqual([report.verified.pages, report.pages.unchanged], [0, 0]);
  assert.ok(report.pages.dirty > 0);
  await assertUnmoved(dest);
});

test("without deltas every page goes whole, and hot ones are left to stage three", async () => {
  await using a = await Daemon.source("hot-cold rate=20000/s", ...MEMORY);
  await using dest = await Daemon.dest();
  const report = await move(a, dest, { ...SLOW, tuning: { delta: false } });
  const { delta, stageThree, unchanged, dirty, deferred } = report.pages;
  assert.deepEqual([delta, report.bytes.delta, stageThree + unchanged], [0, 0, dirty]);
  assert.ok(deferred > 0);
  await assertUnmoved(dest);
});

test("stop-and-copy sends every page once, while the guest stands still", async () => {
  await using a = await Daemon.source("random-writer rate=3000/s", ...MEMORY);
  const report = await move(a, b, { ...SLOW, algorithm: "stop-and-copy" });
  const { total, stageOne, stageThree, dirty, mostSendsOfOnePage } = report.pages;
  assert.deepEqual([stageOne, stageThree, dirty, mostSendsOfOnePage], [total, 0, 0, 1]);
  assert.deepEqual(
    report.rounds.map(({ pass, pagesSent, stopped }) => [pass, pagesSent, stopped]),
    [[1, total, true]],
  );
  assert.equal(report.times.passMs, null);
});

test("three-stage tells of its one pass", async () => {
  await using a = await Daemon.source("random-writer rate=3000/s", ...MEMORY);
  const report = await move(a, b, SLOW);
  assert.equal(report.algorithm, "three-stage");
  const [pass, ...others] = report.rounds;
  assert.deepEqual([others, report.stopReason, report.choice], [[], null, null]);
  assert.equal(pass?.pagesSent, report.pages.stageOne + report.pages.zero);
  assert.equal(pass.pagesSkipped, report.pages.deferred);
});

test("auto is pre-copy for a guest that rests, and three-stage for one that writes too fast", async () => {
  const request = { ...SLOW, algorithm: "auto", maxDowntimeMs: 50, maxTotalMs: 30_000 } as const;
  await using idle = await Daemon.source("idle", ...MEMORY);
  // No pass is as short, and the downtime comes first.
  const rested = await move(idle, b, { ...request, maxTotalMs: 1 });
  assert.deepEqual([rested.algorithm, rested.stopReason], ["pre-copy", "downtime-limit"]);
  assert.match(rested.choice?.why ?? "", /within the 35 ms .* more than the 1 ms allowed in all$/);
  assert.equal(rested.faults?.count, 0);

  await using hot = await Daemon.source(HOT, ...MEMORY);
  const fast = await move(hot, c, request);
  assert.deepEqual([fast.algorithm, fast.stopReason], ["three-stage", "not-converging"]);
  assert.match(fast.choice?.why ?? "", /more than the 35 ms .* too fast, \d+ pages\/s/);
  assert.ok(fast.pages.dirty > 450);
  await assertUnmoved(c);
});

test("a host refuses an option that the algorithm would ignore", async () => {
  await using a = await Daemon.source("idle", ...MEMORY);
  const refused = { code: "USAGE", message: /maxRounds means nothing to post-copy/ };
  await assert.rejects(a.migrate(b, { algorithm: "post-copy", maxRounds: 3 }), refused);
  const tuned = { code: "USAGE", message: /tuning\.prepull means nothing to pre-copy/ };
  await assert.rejects(a.migrate(b, { algorithm: "pre-copy", tuning: { prepull: false } }), tuned);
  const both = { tuning: { checksums: false, unchanged: true } };
  const pointless = { code: "USAGE", message: /unchanged pages are found by their checksums/ };
  await assert.rejects(a.migrate(b, both), pointless);
  const deltas = { tuning: { checksums: false, delta: true } };
  const baseless = { code: "USAGE", message: /deltas are put together by checksums/ };
  await assert.rejects(a.migrate(b, deltas), baseless);
  assert.equal((await a.guest()).state, "running");
});
