import assert from "node:assert/strict";
import { test } from "node:test";
import type { EstimateEvent } from "../../src/host/events.js";
import { Daemon, Tristage } from "./daemon.js";
import { halfIdle } from "./modules.js";
import { Proxy } from "./proxy.js";

const PAGES = (16 * 2 ** 20) / 4096;

async function estimateOf(source: Daemon, dest: Daemon, ...words: readonly string[]) {
  const { control } = source.listening;
  await using process = Tristage.run(
    ...["estimate", "--from", control, "--to", dest.address, "--for", "300ms", ...words],
  );
  const { code } = await process.ending();
  assert.equal(code, 0, process.stderr);
  return process.lines;
}

async function jsonOf(source: Daemon, dest: Daemon, ...words: readonly string[]) {
  const lines = await estimateOf(source, dest, "--json", ...words);
  assert.equal(lines.length, 1);
  return JSON.parse(lines[0]!) as EstimateEvent;
}

test("estimate measures a guest and a link, and leaves both as they were", async () => {
  await using dest = await Daemon.dest();
  const guest = "random-writer rate=2000/s working-set=50%";
  await using source = await Daemon.source(guest, "--memory", "16MiB");
  const found = await jsonOf(source, dest, "--max-bandwidth", "10MB/s");
  assert.equal(found.event, "estimate");
  assert.equal(found.contentPages, PAGES);
  assert.ok(found.bytesPerSecond <= 10e6 && found.bytesPerSecond > 1e6);
  assert.ok(found.roundTripMs > 0 && found.roundTripMs < 1000);
  // It cannot write more different pages than it makes writes, nor than it works on.
  for (const { windowMs, pages } of found.written) {
    assert.ok(pages <= Math.min(PAGES / 2, 2000 * (windowMs / 1000) * 1.5 + 50));
  }
  assert.ok(found.dirtyPagesPerSecond > 100);
  assert.deepEqual(
    found.predictions.map(({ algorithm }) => algorithm),
    ["stop-and-copy", "pre-copy", "post-copy", "three-stage"],
  );
  assert.deepEqual([dest.of("phase"), dest.of("error"), dest.of("guest")], [[], [], []]);
  await source.progress(100);
  assert.equal((await source.move(dest)).outcome, "completed");
});

test("estimate keeps to the limit of a migration under way, and the migration completes", async () => {
  await using dest = await Daemon.dest();
  const guest = "random-writer rate=2000/s";
  await using source = await Daemon.source(guest, "--memory", "16MiB");
  const migrationId = await source.migrate(dest, { maxBandwidth: 4e6 });
  await source.phase("copying", migrationId);
  // Whatever it may take itself: within a machine that would be far more.
  const estimates = [
    await source.estimate(dest, { durationMs: 0 }),
    await source.estimate(dest, { durationMs: 0, maxBandwidth: 1e9 }),
    await source.estimate(dest, { durationMs: 0, maxBandwidth: 3e6 }),
  ];
  const within = (bound: number, at: number) => estimates[at]!.bytesPerSecond <= bound;
  assert.deepEqual([within(4e6, 0), within(4e6, 1), within(3e6, 2)], [true, true, true]);
  assert.deepEqual(
    estimates.map(({ heldTo }) => heldTo),
    [4e6, 4e6, null],
  );
  assert.equal(source.of("report").length, 0, "it had no migration beside it");
  assert.equal((await source.report(migrationId)).outcome, "completed");
});

test("estimate sends no byte between a guest that is handed over and its pages", async () => {
  await using dest = await Daemon.dest();
  await using source = await Daemon.source(halfIdle(), "--memory", "8MiB", "--vcpus", "2");
  await using proxy = await Proxy.open(dest.target);
  // Nobody hears that all pages are there.
  proxy.judge = ({ name }) => {
    if (name === "complete") proxy.stall();
    return "pass";
  };
  const migrationId = await source.migrate(proxy.address, { maxBandwidth: 4e6 });
  await source.phase("copying", migrationId);
  const busy = { code: "GUEST_BUSY", message: /handed over, and no probe of the link may delay/ };
  // At this rate its first MiB takes far longer than the pass.
  await assert.rejects(source.estimate(dest, { maxBandwidth: 100_000 }), busy);
  await source.phase("draining", migrationId);
  await assert.rejects(source.estimate(dest), busy);
  assert.deepEqual([source.of("report"), source.of("error")], [[], []]);
});

test("estimate shows a person a table with a row for each algorithm", async () => {
  await using dest = await Daemon.dest();
  await using source = await Daemon.source("idle", "--memory", "1MiB");
  const text = (await estimateOf(source, dest)).join("\n");
  for (const word of ["stop-and-copy", "pre-copy", "post-copy", "three-stage", "downtime"]) {
    assert.ok(text.includes(word), text);
  }
});

test("estimate says why there is none: no destination, no guest, no such host", async () => {
  await using source = await Daemon.source("idle", "--memory", "1MiB");
  const { control } = source.listening;
  const cases = [
    ["--to", "127.0.0.1:9", "--from", control],
    ["--to", control, "--from", control],
    ["--to", "127.0.0.1:9", "--from", control, "--guest", "nobody"],
  ];
  for (const words of cases) {
    await using process = Tristage.run("estimate", ...words);
    const { code } = await process.ending();
    assert.notEqual(code, 0);
    assert.match(process.stderr, /^tristage: .{20,}$/m);
  }
});
