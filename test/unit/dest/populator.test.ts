import assert from "node:assert/strict";
import { test } from "node:test";
import { Arrival } from "../../../src/dest/arrival.js";
import { ArrivalTables } from "../../../src/dest/arrival-tables.js";
import { Populator } from "../../../src/dest/populator.js";
import { PAGE_BYTES } from "../../../src/memory/geometry.js";
import { GuestRam } from "../../../src/memory/ram.js";
import { PURPOSE, RUN_KIND } from "../../../src/protocol/pages.js";

const MIB = 2 ** 20;
const RAM_BYTES = 256 * MIB;
const HALF = RAM_BYTES / 2 / PAGE_BYTES;

/** How much more memory this process has, in MiB, once `work` is done. */
function grownMib(work: () => void): number {
  const before = process.memoryUsage.rss();
  work();
  return (process.memoryUsage.rss() - before) / MIB;
}

test("what a pass leaves out is given memory when the pass has gone by it", () => {
  const ram = GuestRam.allocate(RAM_BYTES, 1);
  const populator = new Populator(ram);
  const grown = grownMib(() => {
    populator.passTo(HALF);
  });
  assert.ok(grown > 100, `128 MiB were passed, and ${String(grown)} MiB were given`);
  assert.ok(grown < 180, `128 MiB were passed, and ${String(grown)} MiB were given`);
});

test("what has come, as contents or as zero, is not touched for that", () => {
  const ram = GuestRam.allocate(RAM_BYTES, 1);
  const populator = new Populator(ram);
  ram.arrived.addRange({ firstPage: 0, pageCount: HALF });
  const grown = grownMib(() => {
    populator.passTo(HALF);
    populator.pass({ firstPage: HALF, pageCount: HALF });
    populator.passTo(2 * HALF);
  });
  assert.ok(grown < 50, `${String(grown)} MiB were given for pages that needed none`);
});

test("what a page already holds is left as it is", () => {
  const ram = GuestRam.allocate(RAM_BYTES, 1);
  const bytes = new Uint8Array(ram.buffer, 0, PAGE_BYTES).fill(0x5a);
  new Populator(ram).passTo(1);
  assert.ok(bytes.every((byte) => byte === 0x5a));
});

test("a receiver touches what lies between the pages of a pass, and at its barrier what lies behind them", () => {
  const ram = GuestRam.allocate(RAM_BYTES, 1);
  const nothing = () => undefined;
  const channel = new Arrival(ram, ArrivalTables.create(ram.pageCount), {
    torn: nothing,
    credit: nothing,
    barrierPassed: nothing,
    requestAgain: nothing,
    whole: nothing,
  });
  const frame = {
    purpose: PURPOSE.PASS,
    pass: 1,
    runs: [{ firstPage: HALF, pageCount: 1, kind: RUN_KIND.ZERO }],
    checksums: new Int32Array(0),
    frameBytes: 100,
  };
  const between = grownMib(() => {
    channel.place(frame);
    channel.accept(frame);
  });
  const behind = grownMib(() => {
    channel.barrier(1);
  });
  for (const grown of [between, behind]) {
    assert.ok(grown > 100 && grown < 180, `of 128 MiB ${String(grown)} MiB were given`);
  }
});
