import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { inRepository } from "../repository.js";
import { Daemon } from "./daemon.js";
import { Proxy } from "./proxy.js";
import { assertUnmoved } from "./same-guest.js";

/** Slow enough that the guest gets to write while it moves, fast enough for a test. */
const SLOW = { maxBandwidth: 16 * 2 ** 20 };
const MEMORY = ["--memory", "8MiB"];

/** A few that work steadily, each at several moments of its life. */
const PACED = [
  "idle",
  "random-writer rate=100000/s",
  // Most pages are written once or not at all while they move, so a single lost write shows.
  "random-writer rate=3000/s working-set=100%",
  "sequential-writer rate=100000/s",
  "hot-cold rate=60000/s write-ratio=0.5",
  "memtester share=50% fill=100% rate=20000pages/s",
  "kv mix=A rate=20000ops/s",
  "kv mix=B rate=20000ops/s",
  "kv mix=C rate=20000ops/s",
  `kv mix=A rate=20000ops/s data=${inRepository("src/protocol")}`,
];

/** And a few that run as fast as they can: so much that to run them again takes a while. */
const UNBOUND = ["memtester share=25%", "hot-cold", "kv", "sequential-writer working-set=100%"];

/** Where guests go to. They come back, so these serve one after the other. */
let b: Daemon;
let c: Daemon;
before(async () => {
  [b, c] = await Promise.all([Daemon.dest(), Daemon.dest()]);
});
after(async () => {
  await Promise.all([b, c].map((host) => host[Symbol.asyncDispose]()));
});

/** A guest's name without the path of this machine. */
function nameOf(guest: string): string {
  return guest.replace(/data=.*/, "data=a folder");
}

/** What three-stage promises, however fast the guest writes: a page goes once in stage one, once in stage three. */
async function assertAtMostTwice(source: Daemon, migrationId: string): Promise<void> {
  const { outcome, pages } = await source.report(migrationId);
  assert.equal(outcome, "completed");
  assert.ok(pages.mostSendsOfOnePage <= 2, `a page went ${String(pages.mostSendsOfOnePage)} times`);
}

for (const vcpus of [1, 2]) {
  const plural = vcpus === 1 ? "one vCPU" : "two vCPUs";
  for (const guest of PACED) {
    test(`${nameOf(guest)} on ${plural} is the guest that never moved, after A→B→C→A`, async () => {
      const words = [...MEMORY, "--vcpus", String(vcpus), "--listen", "127.0.0.1:0"];
      await using a = await Daemon.source(guest, ...words);
      // Right after its birth.
      const birth = await a.migrate(b, SLOW);
      await b.phase("observing", birth);
      const first = await assertUnmoved(b);
      // When it has worked a while.
      await b.progress(500);
      const working = await b.migrate(c, SLOW);
      await c.phase("observing", working);
      // At once, and home.
      const home = await c.migrate(a, SLOW);
      await a.phase("observing", home);
      assert.equal((await a.guest()).generation, 4);
      await assertUnmoved(a, first.operations);
      await assertAtMostTwice(a, birth);
      await assertAtMostTwice(b, working);
      await assertAtMostTwice(c, home);
    });
  }

  for (const guest of UNBOUND) {
    test(`${guest} at full speed on ${plural} is the guest that never moved`, async () => {
      await using a = await Daemon.source(guest, ...MEMORY, "--vcpus", String(vcpus));
      await using dest = await Daemon.dest();
      const { operations } = await a.guest();
      const migrationId = await a.migrate(dest, SLOW);
      await dest.phase("observing", migrationId);
      await dest.pause();
      const digest = await assertUnmoved(dest);
      assert.ok(digest.operations.reduce((sum, count) => sum + count, 0) > operations);
      await assertAtMostTwice(a, migrationId);
    });
  }
}

test("a guest with as many vCPUs as there may be, over several channels, is the one that never moved", async () => {
  const words = [...MEMORY, "--vcpus", "8"];
  await using a = await Daemon.source("hot-cold rate=60000/s write-ratio=0.5", ...words);
  const { operations } = await a.digest();
  const migrationId = await a.migrate(b, { ...SLOW, channels: 4 });
  await b.phase("observing", migrationId);
  const digest = await assertUnmoved(b, operations);
  assert.equal(digest.operations.length, 8);
  await assertAtMostTwice(a, migrationId);
  assert.equal((await a.report(migrationId)).channels, 4);
});

test("a guest whose migration was cancelled is the guest that never tried", async () => {
  await using a = await Daemon.source("kv rate=20000ops/s", ...MEMORY, "--vcpus", "2");
  const { operations } = await a.digest();
  await using proxy = await Proxy.open(b.target);
  const migrationId = await a.migrate(proxy.address, SLOW);
  await proxy.passage("PAGES");
  await a.cancel(migrationId);
  assert.equal((await a.report(migrationId)).outcome, "cancelled");
  await a.progress(1000);
  await assertUnmoved(a, operations);
});

test("a guest whose migration failed is the guest that never tried, wherever the link broke", async () => {
  await using a = await Daemon.source("kv rate=20000ops/s", ...MEMORY, "--vcpus", "2");
  for (const last of ["welcome", "ATTACHED", "PAGES", "BARRIER", "switchover"] as const) {
    const { operations } = await a.digest();
    await using proxy = await Proxy.open(b.target);
    proxy.judge = ({ name }) => (name === last ? "cut" : "pass");
    const report = await a.move(proxy.address, SLOW);
    assert.equal(report.outcome, "failed", `${last}: ${String(report.failure?.text)}`);
    await assertUnmoved(a, operations);
  }
});
