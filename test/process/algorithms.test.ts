import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { MigrateRequest } from "../../src/host/service.js";
import type { Report } from "../../src/protocol/report.js";
import { Daemon } from "./daemon.js";
import { assertUnmoved } from "./same-guest.js";

/** Slow enough that the guest gets to write while it moves, fast enough for a test. */
const SLOW = { maxBandwidth: 16 * 2 ** 20 };
const MEMORY = ["--memory", "8MiB"];

/** Built-in guests at a steady pace: what they have done is soon done again, to compare. */
const PACED = [
  "idle",
  "random-writer rate=3000/s working-set=100%",
  "sequential-writer rate=100000/s",
  "hot-cold rate=60000/s write-ratio=0.5",
  "kv mix=A rate=20000ops/s",
];

let b: Daemon;
let c: Daemon;
before(async () => {
  [b, c] = await Promise.all([Daemon.dest(), Daemon.dest()]);
});
after(async () => {
  await Promise.all([b, c].map((host) => host[Symbol.asyncDispose]()));
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

for (const vcpus of [1, 2]) {
  const plural = vcpus === 1 ? "one vCPU" : "two vCPUs";
  for (const guest of PACED) {
    test(`${guest} on ${plural} is the guest that never moved, by every algorithm in turn`, async () => {
      const words = [...MEMORY, "--vcpus", String(vcpus), "--listen", "127.0.0.1:0"];
      await using a = await Daemon.source(guest, ...words);
      const preCopy = await move(a, b, { ...SLOW, algorithm: "pre-copy" });
      assert.equal(preCopy.algorithm, "pre-copy");
      const first = await assertUnmoved(b);
      const postCopy = await move(b, c, { ...SLOW, algorithm: "post-copy" });
      assert.equal(postCopy.algorithm, "post-copy");
      const second = await assertUnmoved(c, first.operations);
      const auto = await move(c, b, { ...SLOW, algorithm: "auto" });
      assert.equal(auto.algorithm, auto.choice?.algorithm);
      const third = await assertUnmoved(b, second.operations);
      const stopAndCopy = await move(b, a, { ...SLOW, algorithm: "stop-and-copy" });
      assert.equal(stopAndCopy.algorithm, "stop-and-copy");
      await assertUnmoved(a, third.operations);
    });
  }

  for (const algorithm of ["pre-copy", "post-copy"] as const) {
    test(`memtester at full speed on ${plural} is the guest that never moved, by ${algorithm}`, async () => {
      const words = [...MEMORY, "--vcpus", String(vcpus)];
      await using a = await Daemon.source("memtester share=25%", ...words);
      await using dest = await Daemon.dest();
      const { operations } = await a.guest();
      await dest.phase("observing", await a.migrate(dest, { ...SLOW, algorithm }));
      await dest.pause();
      const digest = await assertUnmoved(dest);
      assert.ok(digest.operations.reduce((sum, count) => sum + count, 0) > operations);
    });
  }
}
