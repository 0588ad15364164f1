import assert from "node:assert/strict";
import { test } from "node:test";
import type { FailureCode } from "../../src/failure.js";
import { RUNNING_TIMEOUT_MS } from "../../src/protocol/limits.js";
import { FRAME_TYPES, PURPOSE } from "../../src/protocol/pages.js";
import { Daemon } from "../process/daemon.js";
import { guestModule } from "../process/modules.js";
import { complaintAbout } from "./besieged.js";
import { HostileSource, moduleAt, type Peer } from "./peer.js";

/** What a source does in stage three, which lacks pages 3 and 4. */
type Attack = (control: Peer, bulk: Peer) => void;

const ATTACKS: readonly (readonly [string, FailureCode, Attack])[] = [
  [
    "sends pages of a pass",
    "MESSAGE_UNEXPECTED",
    (_, bulk) => {
      bulk.sayZeroPages(PURPOSE.PASS, 0, 2);
    },
  ],
  [
    "pushes a page that is not there",
    "PAGE_OUT_OF_RANGE",
    (_, bulk) => {
      bulk.sayPages(PURPOSE.PUSH, [4000]);
    },
  ],
  [
    "sends a page wrong twice",
    "PAGE_CORRUPT",
    (_, bulk) => {
      bulk.sayPages(PURPOSE.PUSH, [3]);
      bulk.sayPages(PURPOSE.PULL, [3]);
    },
  ],
  [
    "takes the guest back",
    "MESSAGE_UNEXPECTED",
    (control) => {
      control.say("cancel", { by: "a hostile source" });
    },
  ],
  [
    "hands the guest over again",
    "MESSAGE_UNEXPECTED",
    (control) => {
      control.say("prepare", {});
    },
  ],
  [
    "closes a channel in the middle of a frame",
    "FRAME_TRUNCATED",
    (_, bulk) => {
      bulk.socket.end(new Uint8Array(5));
    },
  ],
];

for (const [what, code, act] of ATTACKS) {
  test(`dest keeps its guest, with one error, ${code}, when the source ${what}`, async () => {
    await using host = await Daemon.dest();
    using source = await HostileSource.greet(host.target);
    const bulk = await source.copy();
    source.switchOver([3, 4]);
    await source.control.hear("running", "switchover");
    await complaintAbout(host, code, async () => {
      act(source.control, bulk);
      await source.control.hungUp();
    });
    assert.equal((await host.guest()).state, "stranded");
    await host.progress(100);
  });
}

test("dest asks once more for a page that came wrong, and takes it when it is right", async () => {
  await using host = await Daemon.dest();
  using source = await HostileSource.greet(host.target);
  const bulk = await source.copy();
  source.switchOver([3]);
  await source.control.hear("running", "switchover");
  bulk.sayPages(PURPOSE.PUSH, [3]);
  const request = await bulk.hearFrame(FRAME_TYPES.REQUEST);
  const [page, again] = new Uint32Array(request.body.slice().buffer);
  assert.deepEqual([page, again], [3, 1]);
  bulk.sayZeroPages(PURPOSE.PULL, 3, 1);
  const { mismatches } = await source.control.hear("complete", "draining");
  assert.equal(mismatches, 1);
  assert.equal((await host.guest()).state, "running");
  assert.deepEqual(host.of("error"), []);
});

test("dest finds its guest whole although the last page came within the first operation", async () => {
  // Long enough for the destination to hear of the page before it hears of the operation.
  const path = guestModule(`
    boot: () => [{}],
    step(memory) {
      memory.loadU32(0);
      for (const end = Date.now() + 200; Date.now() < end;);
      return 1;
    }`);
  await using host = await Daemon.dest();
  using source = await HostileSource.greet(host.target, moduleAt(path));
  await source.copy();
  const urgent = await source.attach("urgent");
  const faultLine = await source.attach("fault-0");
  source.switchOver([0]);
  const request = await faultLine.hearFrame(FRAME_TYPES.REQUEST);
  assert.deepEqual([...new Uint32Array(request.body.slice().buffer)], [0, 0, 0, 0]);
  urgent.sayZeroPages(PURPOSE.PULL, 0, 1);
  await source.control.hear("running", "switchover");
  await source.control.hear("complete", "draining");
  assert.equal((await host.guest()).state, "running");
  assert.deepEqual(urgent.unheard, [], "the urgent channel has no window to give credit for");
});

/** Its first operation needs page 0. */
const READER = `
    boot: () => [{}],
    step(memory) {
      memory.loadU32(0);
      return 1;
    }`;

test("dest takes pages that are sent ahead of the switchover, once the guest is handed over", async () => {
  const path = guestModule(READER);
  await using host = await Daemon.dest();
  using source = await HostileSource.greet(host.target, moduleAt(path));
  await source.copy();
  const urgent = await source.attach("urgent");
  urgent.sayZeroPages(PURPOSE.PUSH, 0, 2);
  source.switchOver([0, 1]);
  const startMs = performance.now();
  await source.control.hear("complete", "draining");
  assert.ok(
    performance.now() - startMs < RUNNING_TIMEOUT_MS / 2,
    "nobody woke the thread that waited",
  );
  assert.equal((await host.guest()).state, "running");
});

test("dest lets go of a source that sent pages ahead and then gave the guest up", async () => {
  await using host = await Daemon.dest();
  using source = await HostileSource.greet(host.target);
  await source.copy();
  const urgent = await source.attach("urgent");
  urgent.sayZeroPages(PURPOSE.PUSH, 3, 2);
  const startMs = performance.now();
  source.control.say("cancel", { by: "its user" });
  await source.control.hungUp();
  await urgent.hungUp();
  assert.ok(performance.now() - startMs < RUNNING_TIMEOUT_MS / 2, "it waited its time out");
  assert.equal((await host.phase("ended", source.hello.migrationId)).stage, null);
});

test("dest asks for a page on a fault line that is attached only after the vCPU needs it", async () => {
  await using host = await Daemon.dest();
  using source = await HostileSource.greet(host.target, moduleAt(guestModule(READER)));
  const bulk = await source.copy();
  source.switchOver([0]);
  const faultLine = await source.attach("fault-0");
  await faultLine.hearFrame(FRAME_TYPES.REQUEST);
  bulk.sayZeroPages(PURPOSE.PULL, 0, 1);
  await source.control.hear("complete", "draining");
});

test("dest has its guest whole without a fault line, once all pages were pushed", async () => {
  await using host = await Daemon.dest();
  using source = await HostileSource.greet(host.target, moduleAt(guestModule(READER)));
  const bulk = await source.copy();
  source.switchOver([0]);
  await host.phase("resuming", source.hello.migrationId);
  bulk.sayZeroPages(PURPOSE.PUSH, 0, 1);
  await source.control.hear("running", "switchover");
  await source.control.hear("complete", "draining");
});
