import assert from "node:assert/strict";
import { test } from "node:test";
import { Arrival } from "../../../src/dest/arrival.js";
import { ArrivalTables } from "../../../src/dest/arrival-tables.js";
import { PassFrontier } from "../../../src/dest/pass-frontier.js";
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

/** One for each bulk channel. */
function populators(ram: GuestRam, bulkCount: number): readonly Populator[] {
  const frontier = new PassFrontier(PassFrontier.createBuffer(bulkCount));
  return Array.from({ length: bulkCount }, (_, channel) => new Populator(ram, frontier, channel));
}

test("what a pass leaves out is given memory when the pass has gone by it", () => {
  const ram = GuestRam.allocate(RAM_BYTES, 1);
  const [populator] = populators(ram, 1);
  const grown = grownMib(() => {
    populator?.passTo(HALF);
  });
  assert.ok(grown > 100, `128 MiB were passed, and ${String(grown)} MiB were given`);
  assert.ok(grown < 180, `128 MiB were passed, and ${String(grown)} MiB were given`);
});

test("what has come, as contents or as zero, is not touched for that", () => {
  const ram = GuestRam.allocate(RAM_BYTES, 1);
  const [populator] = populators(ram, 1);
  const grown = grownMib(() => {
    ram.arrived.addRange({ firstPage: 0, pageCount: HALF });
    populator?.passTo(HALF);
    ram.arrived.addRange({ firstPage: HALF, pageCount: HALF });
    populator?.passTo(2 * HALF);
  });
  assert.ok(grown < 50, `${String(grown)} MiB were given for pages that needed none`);
});

test("what another channel may still bring is not touched, and what none will is, once", () => {
  const ram = GuestRam.allocate(RAM_BYTES, 1);
  const [one, other] = populators(ram, 2);
  const ahead = grownMib(() => {
    one?.passTo(2 * HALF);
  });
  assert.ok(ahead < 50, `${String(ahead)} MiB were given for pages that were still to come`);
  // The other had the upper half, and all of it was zero.
  ram.arrived.addRange({ firstPage: HALF, pageCount: HALF });
  const behind = grownMib(() => {
    other?.passTo(2 * HALF);
  });
  assert.ok(behind > 100 && behind < 180, `of 128 MiB ${String(behind)} MiB were given`);
});

test("a frontier hands out each page once, to whoever settles it, and never goes back", () => {
  const frontier = new PassFrontier(PassFrontier.createBuffer(2));
  const steps = [
    [0, 50],
    [1, 20],
    [1, 10],
    [1, 70],
    [0, 70],
    [0, 70],
  ] as const;
  assert.deepEqual(
    steps.map(([channel, page]) => frontier.advance(channel, page)),
    [
      { firstPage: 0, pageCount: 0 },
      { firstPage: 0, pageCount: 20 },
      { firstPage: 20, pageCount: 0 },
      { firstPage: 20, pageCount: 30 },
      { firstPage: 50, pageCount: 20 },
      { firstPage: 70, pageCount: 0 },
    ],
  );
});

test("what a page already holds is left as it is", () => {
  const ram = GuestRam.allocate(RAM_BYTES, 1);
  const bytes = new Uint8Array(ram.buffer, 0, PAGE_BYTES).fill(0x5a);
  populators(ram, 1)[0]?.passTo(1);
  assert.ok(bytes.every((byte) => byte === 0x5a));
});

test("a receiver touches what lies between the pages of a pass, and at its barrier what lies behind them", () => {
  const ram = GuestRam.allocate(RAM_BYTES, 1);
  const nothing = () => undefined;
  const channel = new Arrival(
    ram,
    ArrivalTables.create(ram.pageCount, 1),
    {
      torn: nothing,
      credit: nothing,
      barrierPassed: nothing,
      requestAgain: nothing,
      whole: nothing,
    },
    0,
  );
  const frame = {
    purpose: PURPOSE.PASS,
    pass: 1,
    runs: [{ firstPage: HALF, pageCount: 1, kind: RUN_KIND.ZERO }],
    checksummed: 0,
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
