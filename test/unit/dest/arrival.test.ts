import assert from "node:assert/strict";
import { test } from "node:test";
import { Arrival, type ArrivalSink } from "../../../src/dest/arrival.js";
import { ArrivalTables } from "../../../src/dest/arrival-tables.js";
import type { IncomingDeltas, IncomingFrame } from "../../../src/dest/page-receiver.js";
import { install } from "../../../src/dest/take-over.js";
import { PageBitmap } from "../../../src/memory/bitmap.js";
import { EpochMember } from "../../../src/memory/epoch.js";
import { PAGE_BYTES } from "../../../src/memory/geometry.js";
import { createPageKernel } from "../../../src/memory/kernel.js";
import { PageTables } from "../../../src/memory/page-tables.js";
import { GuestRam } from "../../../src/memory/ram.js";
import { TrackedMemory } from "../../../src/memory/tracked-memory.js";
import { FIRST_EPOCH, NEVER, VCPU_WORDS, vcpuWords } from "../../../src/memory/words.js";
import { BLOCK_BYTES, BLOCKS_PER_PAGE, countBlocks } from "../../../src/protocol/deltas.js";
import { type PageRun, PURPOSE, type Purpose, RUN_KIND } from "../../../src/protocol/pages.js";
import { failsWith } from "../../failures.js";
import { reportOf, startThread } from "../../threads.js";

const RAM_BYTES = 16 * PAGE_BYTES;
const PAGE_COUNT = 16;

/** What a frame brings for a page: contents made of one byte, nothing but zeros, or "as it was". */
type Content = { readonly fill: number } | "zero" | "unchanged";
type Delivery = readonly [page: number, content: Content];

const old = { fill: 0x11 };
const fresh = { fill: 0x22 };
const newest = 0x33;

/** A kernel of its own: checksums are those of the source. */
const scratch = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
const kernel = createPageKernel(scratch);

function checksum({ fill }: { readonly fill: number }): [low: number, high: number] {
  new Uint8Array(scratch.buffer).fill(fill, 0, PAGE_BYTES);
  const low = kernel.checksumPage(0);
  return [low, kernel.checksumHigh()];
}

/** A guest that arrives: its memory, the receivers' tables, and what the receivers said. */
class Arriving {
  readonly ram = GuestRam.allocate(RAM_BYTES, 1);
  readonly tables: ArrivalTables;
  readonly said: string[] = [];
  readonly bytes = new Uint8Array(this.ram.buffer);

  constructor(checksums = true) {
    this.tables = ArrivalTables.create(PAGE_COUNT, 1, checksums);
  }

  /** The receiver of one more connection. */
  channel(name = "bulk", patienceMs = 0): Arrival {
    const say = (what: string, ...numbers: readonly number[]) => {
      this.said.push([name, what, ...numbers].join(" "));
    };
    const sink: ArrivalSink = {
      torn: (pages) => {
        say("torn", ...pages);
      },
      credit: (bytes) => {
        say("credit", bytes);
      },
      barrierPassed: (pass) => {
        say("barrier", pass);
      },
      requestAgain: (page) => {
        say("again", page);
      },
      whole: () => {
        say("whole");
      },
    };
    return new Arrival(this.ram, this.tables, sink, 0, patienceMs);
  }

  /** Every page comes in stage one, with old contents; then the guest is handed over without `dirty`. */
  static withMissing(...dirty: readonly number[]): Arriving {
    const arriving = new Arriving();
    const pages = Array.from({ length: PAGE_COUNT }, (_, page): Delivery => [page, old]);
    deliver(arriving.channel(), PURPOSE.PASS, pages);
    const missing = PageBitmap.empty(PAGE_COUNT);
    for (const page of dirty) missing.add(page);
    arriving.ram.arrived.subtract(missing);
    const states = { cpus: [{}], operations: [0] };
    install({ states, dirty: missing }, new PageTables(arriving.ram), arriving.tables);
    arriving.said.length = 0;
    return arriving;
  }

  /** The guest's own view of its memory; it never has to wait here. */
  guest(): TrackedMemory {
    return new TrackedMemory(this.ram, new EpochMember(this.ram.words, 0), {
      awaitPage: (page) => assert.fail(`the guest had to wait for page ${String(page)}`),
      foundPage: () => undefined,
      futexWait: () => "timed-out",
    });
  }

  /** The one byte of which page `page` is made; fails when it is made of several. */
  contents(page: number): number {
    const bytes = this.bytes.subarray(page * PAGE_BYTES, (page + 1) * PAGE_BYTES);
    const [first = 0] = bytes;
    assert.ok(
      bytes.every((byte) => byte === first),
      `page ${String(page)} is a mixture`,
    );
    return first;
  }
}

function frameOf(purpose: Purpose, deliveries: readonly Delivery[]): IncomingFrame {
  const runs: PageRun[] = [];
  const checksums: number[] = [];
  for (const [page, content] of deliveries) {
    const kind =
      content === "zero"
        ? RUN_KIND.ZERO
        : content === "unchanged"
          ? RUN_KIND.UNCHANGED
          : RUN_KIND.DATA;
    runs.push({ firstPage: page, pageCount: 1, kind });
    if (content !== "zero") checksums.push(...checksum(content === "unchanged" ? old : content));
  }
  return {
    purpose,
    pass: 1,
    runs,
    checksummed: checksums.length / 2,
    checksums: Int32Array.from(checksums),
    frameBytes: 4711,
  };
}

/** The first half of a delivery: the receiver says where the contents go, and they arrive. */
function place(channel: Arrival, frame: IncomingFrame, deliveries: readonly Delivery[]): void {
  const places = channel.place(frame);
  const contents = Buffer.concat(
    deliveries.map(([, content]) =>
      typeof content === "object" ? Buffer.alloc(PAGE_BYTES, content.fill) : Buffer.alloc(0),
    ),
  );
  let at = 0;
  for (const piece of places) {
    piece.set(contents.subarray(at, at + piece.byteLength));
    at += piece.byteLength;
  }
  assert.equal(at, contents.byteLength, "not every byte has a place");
}

function deliver(channel: Arrival, purpose: Purpose, deliveries: readonly Delivery[]): void {
  const frame = frameOf(purpose, deliveries);
  place(channel, frame, deliveries);
  channel.accept(frame);
}

/** What a delta makes of a block: something else of each. */
const blockFill = (block: number) => 0x40 + block;

/** Deltas by which pages of old contents get these blocks of new ones. */
function deltasOf(...pages: readonly (readonly [page: number, blocks: number])[]): IncomingDeltas {
  const deltas = pages.map(([page, blocks]) => {
    const bytes = new Uint8Array(scratch.buffer).fill(old.fill, 0, PAGE_BYTES);
    for (let block = 0; block < BLOCKS_PER_PAGE; block += 1) {
      if ((blocks & (1 << block)) === 0) continue;
      bytes.fill(blockFill(block), block * BLOCK_BYTES, (block + 1) * BLOCK_BYTES);
    }
    const low = kernel.checksumPage(0);
    return { page, blocks, low, high: kernel.checksumHigh() };
  });
  const blocks = deltas.reduce((sum, it) => sum + countBlocks(it.blocks), 0);
  return { purpose: PURPOSE.PUSH, deltas, blocks, frameBytes: 4711 };
}

/** Fills what was placed with the blocks of a page, one after the other. */
function fillBlocks(placed: Uint8Array, blocks: readonly number[]): void {
  blocks.forEach((block, at) =>
    placed.fill(blockFill(block), at * BLOCK_BYTES, (at + 1) * BLOCK_BYTES),
  );
}

/** The bytes of which the blocks of a page are made; fails when one is made of several. */
function blocksAt(arriving: Arriving, page: number): number[] {
  return Array.from({ length: BLOCKS_PER_PAGE }, (_, block) => {
    const start = page * PAGE_BYTES + block * BLOCK_BYTES;
    const found = new Set(arriving.bytes.subarray(start, start + BLOCK_BYTES));
    assert.equal(found.size, 1);
    return [...found][0] ?? 0;
  });
}

test("a delta changes the blocks that it names, and those of pages that are here already change nothing", () => {
  const arriving = Arriving.withMissing(3, 6);
  const channel = arriving.channel();
  // Page 4 was never missing: its blocks lie between those that are wanted.
  const frame = deltasOf([3, 0b1100_0000_0000_0001], [4, 0b110], [6, 0b10]);
  const blocks = channel.placeDeltas(frame);
  assert.equal(blocks.byteLength, 6 * BLOCK_BYTES);
  fillBlocks(blocks, [0, 14, 15, 1, 2, 1]);
  assert.equal(arriving.ram.arrived.has(3), false);
  channel.acceptDeltas(frame);
  const was = Array.from({ length: BLOCKS_PER_PAGE }, () => old.fill);
  const expected = [0, 14, 15].reduce((is, block) => is.with(block, blockFill(block)), was);
  assert.deepEqual(blocksAt(arriving, 3), expected);
  assert.equal(arriving.contents(4), old.fill);
  assert.deepEqual(blocksAt(arriving, 6), was.with(1, blockFill(1)));
  assert.deepEqual(arriving.said, ["bulk credit 4711", "bulk whole"]);
  assert.equal(arriving.tables.counters.read("verifiedPages"), PAGE_COUNT + 2);
});

test("a delta of something else than is here is not shown to the guest, and the page comes whole", () => {
  const arriving = Arriving.withMissing(3);
  const channel = arriving.channel();
  arriving.bytes[3 * PAGE_BYTES] = 0x99;
  const frame = deltasOf([3, 0b10]);
  fillBlocks(channel.placeDeltas(frame), [1]);
  channel.acceptDeltas(frame);
  assert.deepEqual(arriving.said, ["bulk again 3", "bulk credit 4711"]);
  assert.equal(arriving.ram.arrived.has(3), false);
  deliver(channel, PURPOSE.PULL, [[3, fresh]]);
  assert.equal(arriving.contents(3), fresh.fill);
  assert.equal(arriving.said.at(-1), "bulk whole");
});

test("a frame that has two deltas of a page brings the first", () => {
  const arriving = Arriving.withMissing(3, 4);
  const channel = arriving.channel();
  const frame = deltasOf([3, 0b1], [3, 0b10]);
  fillBlocks(channel.placeDeltas(frame), [0, 1]);
  channel.acceptDeltas(frame);
  assert.deepEqual(blocksAt(arriving, 3).slice(0, 2), [blockFill(0), old.fill]);
  assert.equal(arriving.tables.missingPages, 1);
});

for (const late of [fresh, "zero", "unchanged"] as const) {
  const what = typeof late === "object" ? "with contents" : late;
  test(`a page that comes a second time, ${what}, never overwrites what the guest wrote since`, () => {
    const arriving = Arriving.withMissing(3, 4);
    deliver(arriving.channel("urgent"), PURPOSE.PULL, [[3, fresh]]);
    arriving.guest().fill(3 * PAGE_BYTES, PAGE_BYTES, newest);
    deliver(arriving.channel(), PURPOSE.PUSH, [
      [2, late],
      [3, late],
    ]);
    assert.equal(arriving.contents(3), newest);
    assert.equal(arriving.tables.missingPages, 1);
  });
}

test("a page that was not missing is never touched, whatever is sent for it", () => {
  const arriving = Arriving.withMissing(3);
  arriving.guest().fill(5 * PAGE_BYTES, PAGE_BYTES, newest);
  deliver(arriving.channel(), PURPOSE.PUSH, [
    [5, fresh],
    [6, "zero"],
  ]);
  deliver(arriving.channel(), PURPOSE.PULL, [[5, "zero"]]);
  assert.deepEqual([arriving.contents(5), arriving.contents(6)], [newest, old.fill]);
  assert.equal(arriving.tables.missingPages, 1);
});

test("of two channels that bring a page at once, the first to begin fills it", () => {
  const arriving = Arriving.withMissing(3);
  const slow = arriving.channel("slow");
  const quick = arriving.channel("quick");
  const deliveries: Delivery[] = [[3, fresh]];
  const frame = frameOf(PURPOSE.PUSH, deliveries);
  const places = slow.place(frame);
  // Half of it is here when the other comes, whole.
  places[0]?.fill(fresh.fill, 0, PAGE_BYTES / 2);
  deliver(quick, PURPOSE.PULL, [[3, { fill: 0x44 }]]);
  assert.equal(arriving.ram.arrived.has(3), false, "half a page was shown to the guest");
  places[0]?.fill(fresh.fill);
  slow.accept(frame);
  assert.equal(arriving.contents(3), fresh.fill);
  assert.deepEqual(arriving.said, ["quick credit 4711", "slow credit 4711", "slow whole"]);
});

test("a frame that names a page twice brings it once", () => {
  const arriving = Arriving.withMissing(3, 4);
  deliver(arriving.channel(), PURPOSE.PUSH, [
    [3, fresh],
    [3, "zero"],
    [3, fresh],
  ]);
  assert.equal(arriving.contents(3), fresh.fill);
  assert.equal(arriving.tables.missingPages, 1);
  assert.deepEqual(arriving.said, ["bulk credit 4711"]);
});

test("a page that came wrong in stage three is asked for again, and not shown meanwhile", () => {
  const arriving = Arriving.withMissing(3, 4);
  const channel = arriving.channel();
  const wrong = frameOf(PURPOSE.PUSH, [
    [3, fresh],
    [4, fresh],
  ]);
  place(channel, wrong, [
    [3, { fill: 0x55 }],
    [4, fresh],
  ]);
  channel.accept(wrong);
  assert.deepEqual(arriving.said, ["bulk again 3", "bulk credit 4711"]);
  assert.deepEqual([arriving.ram.arrived.has(3), arriving.ram.arrived.has(4)], [false, true]);
  deliver(channel, PURPOSE.PULL, [[3, fresh]]);
  assert.equal(arriving.contents(3), fresh.fill);
  assert.equal(arriving.said.at(-1), "bulk whole");
  assert.equal(arriving.tables.counters.read("mismatches"), 1);
});

test("a page that came wrong twice in stage three is a failure, and never shown", () => {
  const arriving = Arriving.withMissing(3);
  const channel = arriving.channel();
  const wrong = frameOf(PURPOSE.PUSH, [[3, fresh]]);
  place(channel, wrong, [[3, { fill: 0x55 }]]);
  channel.accept(wrong);
  place(channel, wrong, [[3, { fill: 0x66 }]]);
  const failure = failsWith("PAGE_CORRUPT", () => {
    channel.accept(wrong);
  });
  assert.equal(failure.pageIndex, 3);
  assert.equal(arriving.ram.arrived.has(3), false);
  assert.equal(arriving.said.includes("bulk whole"), false);
});

test("without checksums whatever comes is taken, and none is said to be verified", () => {
  const arriving = new Arriving(false);
  const channel = arriving.channel();
  const frame = frameOf(PURPOSE.PASS, [[3, old]]);
  place(channel, frame, [[3, fresh]]);
  channel.accept(frame);
  assert.deepEqual(arriving.said, []);
  assert.equal(arriving.contents(3), fresh.fill);
  assert.equal(arriving.tables.counters.read("verifiedPages"), 0);
});

test("an unchanged page is believed only if what came in stage one is what was sent then", () => {
  const arriving = Arriving.withMissing(3, 4);
  arriving.bytes.fill(0x77, 4 * PAGE_BYTES, 5 * PAGE_BYTES);
  deliver(arriving.channel(), PURPOSE.PUSH, [
    [3, "unchanged"],
    [4, "unchanged"],
  ]);
  assert.deepEqual(arriving.said, ["bulk again 4", "bulk credit 4711"]);
  assert.deepEqual([arriving.ram.arrived.has(3), arriving.ram.arrived.has(4)], [true, false]);
});

test("a page that has become zero since it was copied is zero for the guest", () => {
  const arriving = Arriving.withMissing(3);
  assert.equal(arriving.contents(3), old.fill);
  deliver(arriving.channel(), PURPOSE.PUSH, [[3, "zero"]]);
  assert.equal(arriving.guest().loadU8(3 * PAGE_BYTES), 0);
  assert.equal(arriving.contents(3), 0);
});

test("a page that is zero in a later pass is zero, whatever came before", () => {
  const arriving = new Arriving();
  const channel = arriving.channel();
  deliver(channel, PURPOSE.PASS, [[3, old]]);
  deliver(channel, PURPOSE.PASS, [
    [3, "zero"],
    [4, "zero"],
  ]);
  assert.deepEqual([arriving.contents(3), arriving.contents(4)], [0, 0]);
});

test("a page that was written while it was sent in stage one is reported, and no failure", () => {
  const arriving = new Arriving();
  const channel = arriving.channel();
  const frame = frameOf(PURPOSE.PASS, [
    [3, old],
    [4, old],
  ]);
  place(channel, frame, [
    [3, old],
    [4, fresh],
  ]);
  channel.accept(frame);
  channel.barrier(1);
  assert.deepEqual(arriving.said, ["bulk torn 4", "bulk barrier 1"]);
});

test("whoever brings the last missing page says so, once", () => {
  const arriving = Arriving.withMissing(1, 2, 3);
  const [one, other] = [arriving.channel("one"), arriving.channel("other")];
  deliver(one, PURPOSE.PUSH, [[1, fresh]]);
  deliver(other, PURPOSE.PREPULL, [[3, "zero"]]);
  deliver(one, PURPOSE.PULL, [[2, fresh]]);
  deliver(other, PURPOSE.PUSH, [[2, fresh]]);
  assert.deepEqual(
    arriving.said.filter((it) => it.endsWith("whole")),
    ["one whole"],
  );
});

test("a vCPU is woken by its own page and by no other", () => {
  const arriving = Arriving.withMissing(3, 4);
  const { words } = arriving.ram;
  const awaited = vcpuWords(0) + VCPU_WORDS.AWAITED;
  Atomics.store(words, awaited, 4 + 1);
  deliver(arriving.channel(), PURPOSE.PUSH, [[3, fresh]]);
  assert.equal(Atomics.load(words, awaited), 5);
  deliver(arriving.channel(), PURPOSE.PULL, [[4, fresh]]);
  assert.equal(Atomics.load(words, awaited), 0);
});

test("pages of a pass are refused in stage three, and missing ones in stage one", () => {
  const arriving = new Arriving();
  failsWith("MESSAGE_UNEXPECTED", () => {
    deliver(arriving.channel(), PURPOSE.PUSH, [[3, fresh]]);
  });
  const handedOver = Arriving.withMissing(3);
  failsWith("MESSAGE_UNEXPECTED", () => {
    deliver(handedOver.channel(), PURPOSE.PASS, [[3, fresh]]);
  });
});

test("pages that were sent ahead wait for stage three, but not for ever", async (context) => {
  const startMs = performance.now();
  const arriving = new Arriving();
  const impatient = arriving.channel("urgent", 1);
  failsWith("MESSAGE_UNEXPECTED", () => {
    deliver(impatient, PURPOSE.PUSH, [[3, fresh]]);
  });
  const entry = new URL("stage-three-worker.js", import.meta.url);
  const other = startThread(context, entry, arriving.tables.handle);
  await reportOf(other);
  other.postMessage("enter");
  // This thread stands still from here until the other has entered stage three.
  deliver(arriving.channel("urgent", 60_000), PURPOSE.PUSH, [[3, fresh]]);
  assert.equal(arriving.contents(3), fresh.fill);
  assert.ok(arriving.ram.arrived.has(3));
  assert.ok(performance.now() - startMs < 30_000, "it was woken, and did not sleep its time out");
});

test("a pass that is still under way when the guest is handed over is a failure", () => {
  const arriving = new Arriving();
  const channel = arriving.channel();
  const frame = frameOf(PURPOSE.PASS, [[3, fresh]]);
  channel.place(frame);
  arriving.tables.enterStageThree(0);
  failsWith("MESSAGE_UNEXPECTED", () => {
    channel.accept(frame);
  });
});

test("a page that came with contents may not pass for one that was never written", () => {
  const arriving = new Arriving();
  deliver(arriving.channel(), PURPOSE.PASS, [
    [2, old],
    [3, "zero"],
  ]);
  assert.deepEqual([...arriving.ram.stamps.subarray(1, 5)], [NEVER, FIRST_EPOCH, NEVER, NEVER]);
});
