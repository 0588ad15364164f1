import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { PURPOSE, readPagesHead } from "../../src/protocol/pages.js";
import { Daemon, freshFolder } from "./daemon.js";
import { type Passage, Proxy } from "./proxy.js";
import { assertUnmoved } from "./same-guest.js";

/**
 * While the last pages are sent the guest stands still, and is still the source's. `stop-and-copy` sends all
 * of them so, so every page frame of these tests comes in that pass.
 */
const MEMORY = ["--memory", "8MiB"];
const WRITER = "random-writer rate=100000/s";
const SLOW = { maxBandwidth: 16 * 2 ** 20 };
const STOPPED = { ...SLOW, algorithm: "stop-and-copy" } as const;

/** Kinds of the records in a host's journal. */
function records(folder: string): string[] {
  const lines = readFileSync(join(folder, "ownership.jsonl"), "utf8").trimEnd().split("\n");
  return lines.map((line) => (JSON.parse(line) as { kind: string }).kind);
}

/** The body of a page frame with one bit of its last page flipped. */
function flipped({ frame }: Passage): { readonly body: Uint8Array } {
  const body = frame.body.slice();
  body[body.length - 1]! ^= 1;
  return { body };
}

function bringsContents({ name, frame }: Passage): boolean {
  if (name !== "PAGES" || frame.flags !== PURPOSE.PASS) return false;
  return readPagesHead(frame.body, frame.bodyBytes).dataPages > 0;
}

test("a migration that is cancelled while the guest stands still gives it back", async () => {
  const folder = freshFolder();
  await using dest = await Daemon.dest();
  await using source = await Daemon.source(WRITER, ...MEMORY, "--state-dir", folder);
  await using proxy = await Proxy.open(dest.target);
  const migrationId = await source.migrate(proxy.address, STOPPED);
  await proxy.passage("PAGES");
  const standing = (await source.guest()).operations;
  assert.equal((await source.guest()).operations, standing, "it does not stand still");
  await source.cancel(migrationId);
  const report = await source.report(migrationId);
  assert.equal(report.outcome, "cancelled");
  assert.deepEqual(source.phases(migrationId).slice(-4), [
    "pausing",
    "sendingRest",
    "keeping",
    "ended",
  ]);
  assert.equal((await source.guest()).state, "running");
  await source.progress(10_000);
  await assertUnmoved(source);
  // It was to be handed over before it stopped, and that was taken back.
  assert.deepEqual(records(folder).slice(-2), ["handingOver", "kept"]);
  assert.equal((await dest.event("error")).code, "CANCELLED");
  assert.deepEqual((await dest.status()).guests, []);

  assert.equal((await source.move(dest)).outcome, "completed");
  await assertUnmoved(dest);
});

test("a link that breaks while the guest stands still gives it back, and loses nothing", async () => {
  await using dest = await Daemon.dest();
  await using source = await Daemon.source(WRITER, ...MEMORY, "--vcpus", "2");
  await using proxy = await Proxy.open(dest.target);
  let frames = 0;
  proxy.judge = ({ name }) => (name === "PAGES" && ++frames === 20 ? "cut" : "pass");
  const migrationId = await source.migrate(proxy.address, STOPPED);
  const report = await source.report(migrationId);
  assert.equal(report.outcome, "failed");
  assert.equal(report.failure?.code, "CONNECTION_LOST");
  assert.ok(!source.phases(migrationId).includes("inDoubt"), "nothing was handed over yet");
  await source.progress(10_000);
  await assertUnmoved(source);
  await dest.event("error");
  assert.deepEqual((await dest.status()).guests, []);
});

test("a destination that dies while the guest stands still does not cost it its life", async () => {
  await using dest = await Daemon.dest();
  await using source = await Daemon.source(WRITER, ...MEMORY);
  await using proxy = await Proxy.open(dest.target);
  const migrationId = await source.migrate(proxy.address, STOPPED);
  await proxy.passage("PAGES");
  await dest.kill();
  assert.equal((await source.report(migrationId)).outcome, "failed");
  await source.progress(10_000);
  await assertUnmoved(source);
});

test("a page that comes wrong while the guest stands still is sent once more", async () => {
  await using dest = await Daemon.dest();
  await using source = await Daemon.source(WRITER, ...MEMORY);
  await using proxy = await Proxy.open(dest.target);
  let flips = 0;
  proxy.judge = (passage) => (bringsContents(passage) && ++flips === 5 ? flipped(passage) : "pass");
  const report = await source.move(proxy.address, STOPPED);
  assert.equal(report.outcome, "completed");
  const passes = report.rounds.map(({ pagesSent, dirtyPagesAfter, stopped }) => [
    ...[pagesSent, dirtyPagesAfter, stopped],
  ]);
  assert.deepEqual(passes, [
    [2048, 1, true],
    [1, 0, true],
  ]);
  assert.equal(report.verified.mismatches, 1);
  assert.deepEqual([report.pages.dirty, report.pages.stageThree], [0, 0]);
  await assertUnmoved(dest);
});

for (const algorithm of ["stop-and-copy", "pre-copy"] as const) {
  test(`a page that comes wrong twice while the guest stands still is not handed over by ${algorithm}`, async () => {
    await using dest = await Daemon.dest();
    await using source = await Daemon.source(WRITER, ...MEMORY);
    await using proxy = await Proxy.open(dest.target);
    // Torn in every pass: while the guest runs that is nothing unusual.
    proxy.judge = (passage) => (bringsContents(passage) ? flipped(passage) : "pass");
    const migrationId = await source.migrate(proxy.address, { ...SLOW, algorithm });
    const report = await source.report(migrationId);
    assert.equal(report.outcome, "failed");
    assert.equal(report.failure?.code, "PAGE_CORRUPT");
    assert.ok(!source.phases(migrationId).includes("switchingOver"));
    assert.equal(report.rounds.filter(({ stopped }) => stopped).length, 2);
    assert.ok(report.verified.mismatches >= 2);
    await source.progress(10_000);
    await assertUnmoved(source);
    await dest.event("error");
    assert.deepEqual((await dest.status()).guests, []);
  });
}

test("pre-copy sends again what was torn while the guest ran, without calling it corrupt", async () => {
  await using dest = await Daemon.dest();
  await using source = await Daemon.source("idle", ...MEMORY);
  await using proxy = await Proxy.open(dest.target);
  let flips = 0;
  proxy.judge = (passage) => (bringsContents(passage) && ++flips === 5 ? flipped(passage) : "pass");
  const report = await source.move(proxy.address, { ...SLOW, algorithm: "pre-copy" });
  assert.equal(report.outcome, "completed");
  assert.deepEqual(
    report.rounds.map(({ pagesSent, stopped }) => [pagesSent, stopped]),
    [
      [2048, false],
      [1, false],
      [0, true],
    ],
  );
  assert.equal(report.stopReason, "few-pages");
  assert.deepEqual([report.pages.torn, report.verified.mismatches], [1, 0]);
  await assertUnmoved(dest);
});
