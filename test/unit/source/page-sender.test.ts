import assert from "node:assert/strict";
import type net from "node:net";
import { Writable } from "node:stream";
import { setImmediate } from "node:timers/promises";
import { test } from "node:test";
import { PAGE_BYTES } from "../../../src/memory/geometry.js";
import { GuestRam } from "../../../src/memory/ram.js";
import { FIRST_EPOCH, NEVER } from "../../../src/memory/words.js";
import { MAX_DATA_PAGES } from "../../../src/protocol/limits.js";
import { FIRST_DATA_SEQUENCE, PURPOSE } from "../../../src/protocol/pages.js";
import { MigrationTables, type SourceCounter } from "../../../src/source/migration-tables.js";
import { PageSender } from "../../../src/source/page-sender.js";
import { RateLimit } from "../../../src/source/rate-limit.js";
import { completeTuning, type TuningChoice } from "../../../src/source/tuning.js";

const RAM_BYTES = 64 * 1024;

interface Setting {
  readonly tuning?: TuningChoice;
  /** How the connection takes bytes. */
  readonly write?: (done: () => void) => void;
}

function takeAtOnce(done: () => void): void {
  done();
}

/** A sender whose bytes go nowhere, over a guest of which the first two pages have contents. */
function sending(ramBytes = RAM_BYTES, { tuning = {}, write = takeAtOnce }: Setting = {}) {
  const ram = GuestRam.allocate(ramBytes, 1);
  new Uint8Array(ram.buffer).fill(7, 0, 2 * PAGE_BYTES);
  ram.stamps.fill(FIRST_EPOCH);
  const tables = MigrationTables.create(ram.pageCount, RateLimit.createState());
  const nowhere = new Writable({
    write: (_chunk, _encoding, done) => {
      write(done);
    },
  }) as unknown as net.Socket;
  const sender = new PageSender(
    ram,
    tables,
    nowhere,
    "bulkBytes",
    FIRST_DATA_SEQUENCE,
    completeTuning(tuning),
  );
  const counted = (...names: readonly SourceCounter[]) =>
    names.map((it) => tables.counters.read(it));
  return { ram, tables, sender, counted };
}

test("prepulled pages count by their contents, and in all for the hits that the destination counts", () => {
  const { sender, counted } = sending();
  for (const page of [0, 1, 2, 3, 4]) sender.add(page, true);
  sender.flush(PURPOSE.PREPULL, 0);
  assert.deepEqual(counted("prepulledPages", "zeroPages", "prepulledOfAnyKind"), [2, 3, 5]);
});

test("a run of pages goes as it is: contents, zeroes that were written, and what was never written", () => {
  const { sender, ram, tables, counted } = sending();
  const { pageCount } = ram;
  // Contents again behind the zeroes, and the last pages were never written, whatever lies there.
  new Uint8Array(ram.buffer).fill(9, 8 * PAGE_BYTES, 9 * PAGE_BYTES);
  new Uint8Array(ram.buffer).fill(9, (pageCount - 2) * PAGE_BYTES);
  ram.stamps.fill(NEVER, pageCount - 2);
  tables.checksums.fill(5);
  assert.equal(sender.addRun(0, pageCount, Infinity), pageCount);
  assert.equal(sender.dataPages, 3);
  sender.flush(PURPOSE.PASS, 1);
  assert.deepEqual(counted("stageOnePages", "zeroPages"), [3, pageCount - 3]);
  const without = [...Array(pageCount).keys()].filter((page) => tables.checksums[page * 2] === 0);
  const zeroes = [...Array(pageCount).keys()].filter((page) => ![0, 1, 8].includes(page));
  assert.deepEqual(without, zeroes, "of a zero page there is no checksum");
});

test("a run ends where its frame is full, and goes on in the next", () => {
  const { sender, ram, counted } = sending(2 * MAX_DATA_PAGES * PAGE_BYTES);
  new Uint8Array(ram.buffer).fill(7);
  const next = sender.addRun(3, ram.pageCount, Infinity);
  assert.equal(next, 3 + MAX_DATA_PAGES);
  assert.equal(sender.addRun(next, ram.pageCount, Infinity), next, "nothing fits any more");
  sender.flush(PURPOSE.PASS, 1);
  assert.equal(sender.addRun(next, ram.pageCount, Infinity), ram.pageCount);
  sender.flush(PURPOSE.PASS, 1);
  assert.deepEqual(counted("stageOnePages"), [ram.pageCount - 3]);
});

/** A page that was sent with its contents in stage one, and comes to its turn in stage three. */
function sentBefore() {
  const it = sending();
  it.sender.add(1, false);
  it.sender.flush(PURPOSE.PASS, 1);
  const push = () => {
    it.sender.add(1, true);
    it.sender.flush(PURPOSE.PUSH, 0);
    return it.counted("stageThreePages", "pushedPages", "unchangedPages");
  };
  return { ...it, push };
}

test("a page that is as it was sent is not sent again", () => {
  const { push, tables } = sentBefore();
  assert.deepEqual(push(), [0, 0, 1]);
  assert.equal(tables.mostSendsOfOnePage(), 1);
});

test("a page that has changed since it was sent is sent again", () => {
  const { push, ram, tables } = sentBefore();
  new Uint8Array(ram.buffer).fill(8, PAGE_BYTES, 2 * PAGE_BYTES);
  assert.deepEqual(push(), [1, 1, 0]);
  assert.equal(tables.mostSendsOfOnePage(), 2);
});

test("a page that arrived torn is sent again although it is as it was sent", () => {
  const { push, tables } = sentBefore();
  tables.resend.claim(1);
  assert.deepEqual(push(), [1, 1, 0]);
  assert.equal(tables.mostSendsOfOnePage(), 2);
});

test("how often a page was sent is counted as far as there may be rounds", () => {
  const { sender, tables } = sending();
  for (let pass = 1; pass <= 1000; pass += 1) {
    sender.add(1, false);
    sender.flush(PURPOSE.PASS, pass);
  }
  assert.equal(tables.mostSendsOfOnePage(), 1000);
});

test("a sender wants no more while three chunks wait for the connection", async () => {
  const held: (() => void)[] = [];
  const write = (done: () => void) => {
    held.push(done);
  };
  const { sender } = sending(RAM_BYTES, { tuning: { chunkPages: 1 }, write });
  for (let chunk = 0; chunk < 2; chunk += 1) {
    sender.add(0, false);
    sender.flush(PURPOSE.PASS, 1);
    await sender.ready();
  }
  sender.add(0, false);
  sender.flush(PURPOSE.PASS, 1);
  let isReady = false;
  const ready = sender.ready().then(() => {
    isReady = true;
  });
  await setImmediate();
  assert.ok(!isReady, "it takes a fourth chunk");
  while (held.length > 0) {
    held.shift()?.();
    await setImmediate();
  }
  await ready;
});
