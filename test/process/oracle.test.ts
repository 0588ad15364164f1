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

for (const vcpus of [1, 2]) {
  const plural = vcpus === 1 ? "one vCPU" : "two vCPUs";
  for (const guest of PACED) {
    test(`${nameOf(guest)} on ${plural} is the guest that never moved, after A→B→C→A`, async () => {
      const words = [...MEMORY, "--vcpus", String(vcpus), "--listen", "127.0.0.1:0"];
      await using a = await Daemon.source(guest, ...words);
      // Right after its birth.
      await b.phase("observing", await a.migrate(b, SLOW));
      const first = await assertUnmoved(b);
      // When it has worked a while.
      await b.progress(500);
      await c.phase("observing", await b.migrate(c, SLOW));
      // At once, and home.
      await a.phase("observing", await c.migrate(a, SLOW));
      assert.equal((await a.guest()).generation, 4);
      await assertUnmoved(a, first.operations);
    });
  }

  for (const guest of UNBOUND) {
    test(`${guest} at full speed on ${plural} is the guest that never moved`, async () => {
      await using a = await Daemon.source(guest, ...MEMORY, "--vcpus", String(vcpus));
      await using dest = await Daemon.dest();
      const { operations } = await a.guest();
      await dest.phase("observing", await a.migrate(dest, SLOW));
      await dest.pause();
      const digest = await assertUnmoved(dest);
      assert.ok(digest.operations.reduce((sum, count) => sum + count, 0) > operations);
    });
  }
}

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
