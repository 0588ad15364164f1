import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { PURPOSE, readPagesHead } from "../../src/protocol/pages.js";
import { ALGORITHM_NAMES, type AlgorithmName } from "../../src/protocol/report.js";
import { Daemon, freshFolder } from "./daemon.js";
import { halfIdle } from "./modules.js";
import { diskWithoutRoomFor } from "./preload.js";
import { type Passage, Proxy } from "./proxy.js";
import { assertUnmoved } from "./same-guest.js";

const MEMORY = ["--memory", "4MiB"];
const WRITER = "random-writer rate=100000/s";
/** Stage one takes about a quarter of a second. */
const SLOW = { maxBandwidth: 16 * 2 ** 20 };

/** These hand a guest over without all of its pages: what befalls stage three befalls them. */
const LEAVING_PAGES = ["three-stage", "post-copy"] as const;

/** And these with all of them. */
const LEAVING_NONE = ["stop-and-copy", "pre-copy"] as const;

/** Generation and kind of the last record in a host's journal. */
function lastRecord(folder: string): string | undefined {
  const lines = readFileSync(join(folder, "ownership.jsonl"), "utf8").trimEnd().split("\n");
  const last = JSON.parse(lines.at(-1) ?? "") as { generation: number; kind: string };
  return `${String(last.generation)} ${last.kind}`;
}

/** A guest whose dirty pages are always many, and that makes progress without any of them. */
function halfIdleSource(...words: readonly string[]): Promise<Daemon> {
  return Daemon.source(halfIdle(), ...MEMORY, "--vcpus", "2", ...words);
}

/** Asserts that the guest on `host` does not run, while `meanwhile` goes by. */
async function assertStandsStill(host: Daemon, meanwhile: () => Promise<unknown>): Promise<void> {
  const before = await host.guest();
  await meanwhile();
  const after = await host.guest();
  assert.equal(after.operations, before.operations, "a guest that was handed over runs on");
}

test("a link that breaks in stage one costs the guest nothing", async () => {
  await using dest = await Daemon.dest();
  await using source = await Daemon.source(WRITER, ...MEMORY);
  await using proxy = await Proxy.open(dest.target);
  let frames = 0;
  proxy.judge = ({ name }) => (name === "PAGES" && ++frames === 9 ? "cut" : "pass");
  const migrationId = await source.migrate(proxy.address, SLOW);
  const report = await source.report(migrationId);
  assert.equal(report.outcome, "failed");
  assert.equal(report.failure?.code, "CONNECTION_LOST");
  assert.equal(report.times.downtimeMs, null);
  assert.deepEqual(source.phases(migrationId), ["greeting", "copying", "ended"]);
  assert.equal((await source.guest()).state, "running");
  await source.progress(1000);
  await assertUnmoved(source);

  const lost = await dest.event("error");
  assert.equal(lost.migrationId, migrationId);
  const { guests, migrations } = await dest.status();
  assert.deepEqual([guests, migrations], [[], []]);
  assert.equal(dest.of("error").length, 1);

  const again = await source.move(proxy.address);
  assert.equal(again.outcome, "completed");
  await assertUnmoved(dest);
});

test("a switchover that never arrived is refused for good, and the source resumes, by every algorithm", async () => {
  const stateDirectory = freshFolder();
  await using dest = await Daemon.dest("--state-dir", stateDirectory);
  await using source = await Daemon.source(WRITER, ...MEMORY);
  await using proxy = await Proxy.open(dest.target);
  let journalAtAnswer: string | undefined;
  let generation = 1;
  for (const algorithm of ALGORITHM_NAMES) {
    proxy.judge = ({ name }) => {
      if (name === "owner") journalAtAnswer = lastRecord(stateDirectory);
      return name === "switchover" ? "cut" : "pass";
    };
    const migrationId = await source.migrate(proxy.address, { ...SLOW, algorithm });
    const report = await source.report(migrationId);
    generation += 1;
    assert.equal(report.outcome, "failed", algorithm);
    assert.ok(source.phases(migrationId).includes("inDoubt"));
    const refused = `${String(generation)} refused`;
    assert.equal(journalAtAnswer, refused, "a refusal was said before it was on disk");
    assert.equal((await source.guest()).state, "running");
    await source.progress(1000);
    await assertUnmoved(source);
    assert.deepEqual((await dest.status()).guests, []);
  }
  proxy.judge = () => "pass";
  const again = await source.move(proxy.address);
  assert.equal(again.outcome, "completed");
  assert.equal(again.generation, generation + 1, "a refused generation was used again");
  await assertUnmoved(dest);
});

test("a source that never hears that the guest runs there does not run it here", async () => {
  await using dest = await Daemon.dest();
  await using source = await halfIdleSource();
  await using proxy = await Proxy.open(dest.target);
  proxy.judge = ({ name }) => (name === "running" ? "cut" : "pass");
  const migrationId = await source.migrate(proxy.address);
  const report = await source.report(migrationId);
  assert.equal(report.outcome, "stranded");
  assert.equal(report.faults, null, "the destination did not come to tell of any");
  assert.equal(report.verified.pages, null);
  assert.ok(source.phases(migrationId).includes("inDoubt"));
  assert.equal((await source.guest()).state, "stranded");
  await dest.phase("stranded", migrationId);
  await assertStandsStill(source, () => dest.progress(1000));
  await assert.rejects(source.resume(), { code: "GUEST_BUSY" });

  // Nobody can make it whole any more: both hosts are free of it when a person says so.
  for (const host of [source, dest]) {
    const unsure = await host.order("discard");
    assert.deepEqual([unsure.code, /stranded .*--force/.test(unsure.said)], [1, true], unsure.said);
    assert.equal((await host.order("discard", "--force")).code, 0);
    const { guests, migrations } = await host.status();
    assert.deepEqual([guests, migrations], [[], []]);
    await host.event("guest", ({ state }) => state === "discarded");
  }
});

test("a guest that has gone on from its destination is not taken for lost", async () => {
  await using third = await Daemon.dest();
  await using dest = await Daemon.dest();
  await using source = await Daemon.source("idle", ...MEMORY);
  await using proxy = await Proxy.open(dest.target);
  let hasGoneOn = false;
  proxy.judge = ({ name }) =>
    name === "running" || (name === "ask" && !hasGoneOn) ? "cut" : "pass";
  const migrationId = await source.migrate(proxy.address);
  await dest.event("guest", ({ state }) => state === "running");
  assert.equal((await dest.move(third)).outcome, "completed");
  hasGoneOn = true;
  assert.equal((await source.report(migrationId)).outcome, "stranded");
  assert.equal((await source.order("resume", "--in-doubt")).code, 1);
  await assertUnmoved(third);
});

test("a guest without dirty pages is whole on the destination although the source was lost", async () => {
  await using dest = await Daemon.dest();
  await using source = await Daemon.source("idle", ...MEMORY);
  await using proxy = await Proxy.open(dest.target);
  proxy.judge = ({ name }) => (name === "running" ? "cut" : "pass");
  const migrationId = await source.migrate(proxy.address);
  await source.report(migrationId);
  await dest.guestWhere(({ state }) => state === "running");
  await assertStandsStill(source, () => dest.progress(100));
  await assertUnmoved(dest);
});

for (const algorithm of LEAVING_NONE) {
  for (const unheard of ["running", "complete"]) {
    test(`a guest that left no page behind has moved although "${unheard}" is never heard, by ${algorithm}`, async () => {
      await using dest = await Daemon.dest();
      await using source = await Daemon.source(WRITER, ...MEMORY);
      await using proxy = await Proxy.open(dest.target);
      proxy.judge = ({ name }) => (name === unheard ? "cut" : "pass");
      const migrationId = await source.migrate(proxy.address, { ...SLOW, algorithm });
      assert.equal((await source.report(migrationId)).outcome, "completed");
      assert.ok(source.phases(migrationId).includes("inDoubt"));
      assert.deepEqual((await source.status()).guests, []);
      await dest.guestWhere(({ state }) => state === "running");
      await dest.progress(1000);
      await assertUnmoved(dest);
    });
  }
}

test("a destination that dies as soon as it has a whole guest leaves the last copy of it in doubt, paused", async () => {
  await using dest = await Daemon.dest();
  await using source = await Daemon.source(WRITER, ...MEMORY, "--ask-for", "1");
  await using proxy = await Proxy.open(dest.target);
  const { migrationId, died } = await dieAt("complete", source, dest, proxy, "pre-copy");
  await died;
  assert.equal((await source.report(migrationId)).outcome, "inDoubt");
  assert.equal((await source.order("resume", "--in-doubt")).code, 0);
  await source.progress(1000);
  await assertUnmoved(source);
});

for (const algorithm of ALGORITHM_NAMES) {
  test(`a destination that dies at the switchover for good leaves the guest in doubt, paused, by ${algorithm}`, async () => {
    await using dest = await Daemon.dest();
    await using source = await halfIdleSource("--ask-for", "1");
    await using proxy = await Proxy.open(dest.target);
    const { migrationId, died } = await dieAt("switchover", source, dest, proxy, algorithm);
    await assertStandsStill(source, () => source.report(migrationId));
    await died;
    const report = await source.report(migrationId);
    assert.equal(report.outcome, "inDoubt");
    assert.equal((await source.guest()).state, "inDoubt");
    // Only a person can know that it runs nowhere else.
    const unsure = await source.order("resume");
    assert.equal(unsure.code, 1);
    assert.match(unsure.said, /is in doubt.*--in-doubt/);
    const sure = await source.order("resume", "--in-doubt");
    assert.equal(sure.code, 0);
    assert.match(sure.said, /^guest \S+ \(\w+\) runs$/);
    await source.progress(1000);
    await assertUnmoved(source);
  });
}

test("a destination that comes back never having had the guest gives it back", async () => {
  const stateDirectory = freshFolder();
  await using dest = await Daemon.dest("--state-dir", stateDirectory);
  await using source = await halfIdleSource();
  await using proxy = await Proxy.open(dest.target);
  const { migrationId, died } = await dieAt("switchover", source, dest, proxy);
  await assertStandsStill(source, () => died);
  await using again = await restart(dest, stateDirectory);
  const report = await source.report(migrationId);
  assert.equal(report.outcome, "failed");
  assert.equal(lastRecord(stateDirectory), "2 refused");
  await source.progress(1000);
  await assertUnmoved(source);
  assert.deepEqual((await again.status()).guests, []);
});

test("a destination that comes back without the guest that ran there says that it is lost", async () => {
  const stateDirectory = freshFolder();
  await using dest = await Daemon.dest("--state-dir", stateDirectory);
  await using source = await halfIdleSource();
  await using proxy = await Proxy.open(dest.target);
  const { migrationId, died } = await dieAt("running", source, dest, proxy);
  await died;
  assert.equal(lastRecord(stateDirectory), "2 running");
  await using again = await restart(dest, stateDirectory);
  await assertStandsStill(source, () => source.report(migrationId));
  assert.equal((await source.report(migrationId)).outcome, "inDoubt");
  assert.equal((await source.guest()).state, "inDoubt");
  assert.deepEqual((await again.status()).guests, [], "a restarted host started a guest by itself");
});

test("a host finds the journal of the one before it at its address, whichever command started that", async () => {
  const free = await Daemon.dest();
  await free.kill();
  const listen = ["--listen", free.address];
  const guest = ["--guest", "idle", "--memory", "8MiB"];
  await using dest = await Daemon.start(["source", ...guest, ...listen], { lasting: true });
  await using source = await halfIdleSource();
  await using proxy = await Proxy.open(dest.target);
  const { migrationId, died } = await dieAt("running", source, dest, proxy);
  await died;
  await using again = await Daemon.start(["dest", ...listen], { lasting: true });
  // Without the journal it would say that it never had the guest.
  assert.equal((await source.report(migrationId)).outcome, "inDoubt");
  assert.deepEqual((await again.status()).guests, []);
});

for (const algorithm of LEAVING_PAGES) {
  test(`a source that dies in stage three leaves the guest running, stranded, and that is said, by ${algorithm}`, async () => {
    await using dest = await Daemon.dest();
    await using source = await halfIdleSource();
    const migrationId = await source.migrate(dest, { ...SLOW, algorithm });
    await dest.phase("filling", migrationId);
    await source.kill();
    await dest.phase("stranded", migrationId);
    assert.equal((await dest.guest()).state, "stranded");
    await dest.progress(1000);
    const [error, ...others] = dest.of("error");
    assert.deepEqual(others, []);
    assert.equal(error?.migrationId, migrationId);
    assert.equal(error.code, "CONNECTION_LOST");
  });
}

/** The body of a page frame with one bit of its last page flipped. */
function flipped({ frame }: Passage): { readonly body: Uint8Array } {
  const body = frame.body.slice();
  body[body.length - 1]! ^= 1;
  return { body };
}

/** Whether the frame brings pages with contents, whole or as deltas, in stage one or in stage three. */
function bringsPages({ name, frame }: Passage, stage: 1 | 3): boolean {
  if (name === "DELTAS") return stage === 3;
  if (name !== "PAGES" || (frame.flags === PURPOSE.PASS) !== (stage === 1)) return false;
  return readPagesHead(frame.body, frame.bodyBytes).dataPages > 0;
}

test("a link that loses a frame is found out, and costs the guest nothing", async () => {
  await using dest = await Daemon.dest();
  await using source = await Daemon.source(WRITER, ...MEMORY);
  await using proxy = await Proxy.open(dest.target);
  let frames = 0;
  proxy.judge = ({ name }) => (name === "PAGES" && ++frames === 9 ? "drop" : "pass");
  const report = await source.move(proxy.address, SLOW);
  assert.equal(report.outcome, "failed");
  assert.equal((await dest.event("error")).code, "FRAME_OUT_OF_ORDER");
  assert.match(report.failure?.text ?? "", /drops or repeats data/);
  await assertUnmoved(source);
});

for (const kind of ["handingOver", "kept"]) {
  test(`a source whose disk is full for "${kind}" says so, and its guest runs on`, async () => {
    await using dest = await Daemon.dest();
    const words = ["source", "--guest", "random-writer", "--set", "rate=100000/s", ...MEMORY];
    await using source = await Daemon.start(words, { nodeOptions: diskWithoutRoomFor(kind) });
    await source.event("guest", ({ state }) => state === "running");
    await using proxy = await Proxy.open(dest.target);
    proxy.judge = ({ name }) => (name === "switchover" ? "cut" : "pass");
    const report = await source.move(proxy.address);
    assert.equal(report.outcome, "failed");
    const isCause = report.failure?.code === "JOURNAL_UNUSABLE";
    if (!isCause) assert.equal((await source.event("error")).code, "JOURNAL_UNUSABLE");
    await source.progress(1000);
    await assertUnmoved(source);
  });
}

test("a destination whose disk is full takes no guest, and gives back none that it has not", async () => {
  await using dest = await Daemon.start(["dest", "--listen", "127.0.0.1:0"], {
    nodeOptions: diskWithoutRoomFor("running"),
  });
  await using source = await Daemon.source(WRITER, ...MEMORY);
  const report = await source.move(dest);
  assert.equal(report.outcome, "failed");
  assert.equal((await dest.event("error")).code, "JOURNAL_UNUSABLE");
  assert.deepEqual((await dest.status()).guests, []);
  await source.progress(1000);
  await assertUnmoved(source);
});

test("a source whose disk is full when the guest has left still lets go of it", async () => {
  await using dest = await Daemon.dest();
  await using source = await Daemon.start(["source", "--guest", "idle", ...MEMORY], {
    nodeOptions: diskWithoutRoomFor("released"),
  });
  await source.event("guest", ({ state }) => state === "running");
  assert.equal((await source.move(dest)).outcome, "completed");
  assert.deepEqual((await source.status()).guests, []);
  assert.equal((await source.event("error")).code, "JOURNAL_UNUSABLE");
  await dest.progress(100);
});

test("a page that changes on its way in stage one is sent again", async () => {
  await using dest = await Daemon.dest();
  await using source = await Daemon.source("idle", ...MEMORY);
  await using proxy = await Proxy.open(dest.target);
  let flips = 0;
  proxy.judge = (passage) => (bringsPages(passage, 1) && ++flips === 2 ? flipped(passage) : "pass");
  const report = await source.move(proxy.address);
  assert.equal(report.outcome, "completed");
  const { torn, dirty, stageThree } = report.pages;
  assert.deepEqual([torn, dirty, stageThree], [1, 1, 1]);
  assert.equal(report.verified.mismatches, 0);
  await assertUnmoved(dest);
});

for (const algorithm of LEAVING_PAGES) {
  test(`a page that changes on its way in stage three is asked for once more, by ${algorithm}`, async () => {
    await using dest = await Daemon.dest();
    await using source = await Daemon.source(WRITER, ...MEMORY);
    await using proxy = await Proxy.open(dest.target);
    let flips = 0;
    proxy.judge = (passage) =>
      bringsPages(passage, 3) && ++flips === 2 ? flipped(passage) : "pass";
    const report = await source.move(proxy.address, { ...SLOW, algorithm });
    assert.equal(report.outcome, "completed");
    assert.equal(report.verified.mismatches, 1);
    await assertUnmoved(dest);
  });
}

for (const algorithm of LEAVING_PAGES) {
  test(`a page that comes wrong twice in stage three is never shown to the guest, by ${algorithm}`, async () => {
    await using dest = await Daemon.dest();
    await using source = await halfIdleSource();
    await using proxy = await Proxy.open(dest.target);
    proxy.judge = (passage) => (bringsPages(passage, 3) ? flipped(passage) : "pass");
    const migrationId = await source.migrate(proxy.address, { ...SLOW, algorithm });
    const report = await source.report(migrationId);
    assert.equal(report.outcome, "stranded");
    await dest.phase("stranded", migrationId);
    const [error, ...others] = dest.of("error");
    assert.deepEqual(others, []);
    assert.equal(error?.code, "PAGE_CORRUPT");
    await assertStandsStill(source, () => dest.progress(1000));
  });
}

test("a link that stalls for a while only delays the migration", async () => {
  await using dest = await Daemon.dest();
  await using source = await Daemon.source(WRITER, ...MEMORY);
  await using proxy = await Proxy.open(dest.target);
  const migrationId = await source.migrate(proxy.address, SLOW);
  await proxy.passage("PAGES");
  proxy.stall();
  await source.progress(20_000);
  proxy.unstall();
  assert.equal((await source.report(migrationId)).outcome, "completed");
  await assertUnmoved(dest);
});

/**
 * Migrates, and the destination dies when that message is on its way: at the switchover before it has the guest, at `running` with it, at `complete` with all of it.
 * Resolves when the source is in doubt; `died` when the destination is gone.
 */
async function dieAt(
  message: "switchover" | "running" | "complete",
  source: Daemon,
  dest: Daemon,
  proxy: Proxy,
  algorithm: AlgorithmName = "three-stage",
): Promise<{ readonly migrationId: string; readonly died: Promise<unknown> }> {
  let died: Promise<unknown> = Promise.resolve();
  proxy.judge = ({ name }) => {
    if (name !== message) return "pass";
    died = dest.kill();
    return "cut";
  };
  const migrationId = await source.migrate(proxy.address, { algorithm });
  await source.phase("inDoubt", migrationId);
  return { migrationId, died };
}

/** Starts a host with that journal at the address of one that has died. */
function restart(dead: Daemon, stateDirectory: string): Promise<Daemon> {
  return Daemon.start(["dest", "--listen", dead.address, "--state-dir", stateDirectory]);
}
