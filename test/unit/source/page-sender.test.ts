import assert from "node:assert/strict";
import type net from "node:net";
import { Writable } from "node:stream";
import { test } from "node:test";
import { PAGE_BYTES } from "../../../src/memory/geometry.js";
import { GuestRam } from "../../../src/memory/ram.js";
import { FIRST_EPOCH } from "../../../src/memory/words.js";
import { FIRST_DATA_SEQUENCE, PURPOSE } from "../../../src/protocol/pages.js";
import { MigrationTables, type SourceCounter } from "../../../src/source/migration-tables.js";
import { PageSender } from "../../../src/source/page-sender.js";
import { RateLimit } from "../../../src/source/rate-limit.js";

const RAM_BYTES = 64 * 1024;

/** A sender whose bytes go nowhere, over a guest of which the first two pages have contents. */
function sending() {
  const ram = GuestRam.allocate(RAM_BYTES, 1);
  new Uint8Array(ram.buffer).fill(7, 0, 2 * PAGE_BYTES);
  ram.stamps.fill(FIRST_EPOCH);
  const tables = MigrationTables.create(ram.pageCount, RateLimit.createState());
  const nowhere = new Writable({
    write: (_chunk, _encoding, done) => {
      done();
    },
  }) as unknown as net.Socket;
  const sender = new PageSender(ram, tables, nowhere, "bulkBytes", FIRST_DATA_SEQUENCE, true);
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

test("how often a page was sent is counted as far as there may be rounds", () => {
  const { sender, tables } = sending();
  for (let pass = 1; pass <= 1000; pass += 1) {
    sender.add(1, false);
    sender.flush(PURPOSE.PASS, pass);
  }
  assert.equal(tables.mostSendsOfOnePage(), 1000);
});
