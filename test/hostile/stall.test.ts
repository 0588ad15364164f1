import assert from "node:assert/strict";
import { test } from "node:test";
import { FRAME_TYPES } from "../../src/protocol/pages.js";
import { Daemon } from "../process/daemon.js";
import { BODIES } from "../golden/samples.js";
import { preload } from "../process/preload.js";
import { HostileDest, HostileSource, type Peer } from "./peer.js";

/** Peers that answer pings and do nothing else that they have to, each for as long as a host waits. */

type Stall = (dest: HostileDest, control: Peer) => Promise<unknown>;

/** The clock of the host, not its timers: a source waits longer for a barrier than a test should. */
const FAST_CLOCK = preload(`
  const { bigint } = process.hrtime;
  process.hrtime.bigint = () => bigint() * 10n;`);

/** Speaks often enough not to be taken for dead. */
function stayAlive(control: Peer): () => void {
  const timer = setInterval(() => {
    control.say("ping", { sentMs: 0 });
  }, 100);
  timer.unref();
  return () => {
    clearInterval(timer);
  };
}

const STALLS: readonly (readonly [
  what: string,
  algorithm: "three-stage" | "stop-and-copy",
  Stall,
])[] = [
  ["never attaches a channel", "three-stage", (dest) => dest.applicants(3)],
  [
    "never is prepared",
    "three-stage",
    async (dest) => {
      const bulk = (await dest.attach(3)).get("bulk-0")!;
      await bulk.hearFrame(FRAME_TYPES.BARRIER);
      bulk.sayWords(FRAME_TYPES.BARRIER_PASSED, 1);
    },
  ],
  [
    "never passes a barrier",
    "three-stage",
    async (dest, control) => {
      control.say("prepared", {});
      await (await dest.attach(3)).get("bulk-0")!.hearFrame(FRAME_TYPES.BARRIER);
    },
  ],
  [
    "stops reading pages while the guest stands still",
    "stop-and-copy",
    async (dest, control) => {
      control.say("prepared", {});
      const bulk = (await dest.attach(3)).get("bulk-0")!;
      await bulk.hearFrame(FRAME_TYPES.PAGES);
      bulk.socket.pause();
    },
  ],
];

/** All at the same time, since each takes as long as a host waits. */
const TOGETHER = { concurrency: true };

test("a host gives up a peer that answers pings and does nothing else", TOGETHER, async (t) => {
  const stalls = STALLS.map(([what, algorithm, stall]) =>
    t.test(`source keeps its guest from a destination that ${what}`, async () => {
      const words = [
        "source",
        "--guest",
        "random-writer",
        "--set",
        "rate=1000/s",
        "--memory",
        "64MiB",
      ];
      await using host = await Daemon.start(words, { nodeOptions: FAST_CLOCK });
      await host.event("guest", ({ state }) => state === "running");
      await using dest = await HostileDest.open();
      const migrationId = await host.migrate(dest.address, { algorithm });
      const control = await dest.welcome();
      const stop = stayAlive(control);
      await stall(dest, control);
      const report = await host.report(migrationId);
      stop();
      assert.deepEqual([report.outcome, report.failure?.code], ["failed", "PEER_STALLED"]);
      await host.progress(1000);
    }),
  );
  const noSummary = t.test(
    "source has moved its guest though nobody says how it fared",
    async () => {
      await using host = await Daemon.source("idle", "--memory", "1MiB");
      await using dest = await HostileDest.open();
      const migrationId = await host.migrate(dest.address);
      const control = await dest.welcome();
      const stop = stayAlive(control);
      const channels = await dest.attach(3);
      const bulk = channels.get("bulk-0")!;
      await bulk.hearFrame(FRAME_TYPES.BARRIER);
      bulk.sayWords(FRAME_TYPES.BARRIER_PASSED, 1);
      control.say("prepared", {});
      const { generation } = await control.hear("switchover", "switchover");
      control.say("running", { generation, receivedMs: 0, firstOperationMs: 0 });
      control.say("complete", { ...BODIES.complete, prepullHits: 0 });
      const report = await host.report(migrationId);
      stop();
      assert.equal(report.outcome, "completed");
      assert.deepEqual((await host.status()).guests, []);
    },
  );
  const noReport = t.test("dest is done with a guest though its source never reports", async () => {
    await using host = await Daemon.dest();
    using source = await HostileSource.greet(host.target);
    const stop = stayAlive(source.control);
    await source.copy();
    source.switchOver([]);
    await source.control.hear("complete", "draining");
    await host.phase("ended", source.hello.migrationId);
    stop();
    assert.equal((await host.guest()).state, "running");
    assert.deepEqual((await host.status()).migrations, []);
  });
  await Promise.all([...stalls, noSummary, noReport]);
});
