import assert from "node:assert/strict";
import { test } from "node:test";
import type { GuestProgram } from "../../../src/guest/program.js";
import { hotCold } from "../../../src/guest/programs/hot-cold.js";
import { idle } from "../../../src/guest/programs/idle.js";
import { randomWriter } from "../../../src/guest/programs/random-writer.js";
import { sequentialWriter } from "../../../src/guest/programs/sequential-writer.js";
import { EpochMember } from "../../../src/memory/epoch.js";
import { PAGE_BYTES } from "../../../src/memory/geometry.js";
import { GuestRam } from "../../../src/memory/ram.js";
import { TrackedMemory } from "../../../src/memory/tracked-memory.js";
import { NEVER } from "../../../src/memory/words.js";
import { BootedGuest } from "./booted-guest.js";

/** Indexes of the pages that differ between two images of memory. */
function changedPages(before: Uint8Array, after: Uint8Array): readonly number[] {
  const changed: number[] = [];
  for (let at = 0; at < before.length; at += PAGE_BYTES) {
    const [one, two] = [before, after].map((image) => image.subarray(at, at + PAGE_BYTES));
    if (Buffer.compare(one!, two!) !== 0) changed.push(at / PAGE_BYTES);
  }
  return changed;
}

function pagesWrittenBy(guest: BootedGuest, operations: number): readonly number[] {
  const before = guest.bytes.slice();
  guest.run(0, operations);
  return changedPages(before, guest.bytes);
}

const writers: readonly GuestProgram[] = [randomWriter, sequentialWriter];
for (const program of writers) {
  test(`${program.name} dirties exactly one page per operation`, () => {
    const guest = new BootedGuest(program);
    for (let i = 0; i < 300; i++) assert.equal(pagesWrittenBy(guest, 1).length, 1);
  });

  test(`${program.name} writes to all of its working set and to nothing else`, () => {
    const forms: readonly (readonly [string, number])[] = [
      ["25%", 64],
      ["0.5", 128],
      ["64KiB", 16],
      ["100%", 256],
    ];
    for (const [workingSet, pageCount] of forms) {
      const guest = new BootedGuest(program, { options: { "working-set": workingSet } });
      const expected = Array.from({ length: pageCount }, (_, page) => page);
      assert.deepEqual(pagesWrittenBy(guest, 20_000), expected);
    }
  });
}

test("random-writer with values=same writes to its pages and changes none", () => {
  const guest = new BootedGuest(randomWriter, { options: { values: "same" } });
  const before = guest.bytes.slice();
  const written = new Set<number>();
  randomWriter.step(
    spiedStores(guest, (page) => written.add(page)),
    guest.cpu,
    20_000,
  );
  assert.equal(written.size, 64);
  assert.deepEqual(changedPages(before, guest.bytes), []);
});

test("sequential-writer goes through its pages in order", () => {
  const guest = new BootedGuest(sequentialWriter, { options: { "working-set": "16KiB" } });
  const order = [0, 1, 2, 3, 0, 1].map(() => pagesWrittenBy(guest, 1)[0]);
  assert.deepEqual(order, [0, 1, 2, 3, 0, 1]);
});

test("sequential-writer goes down column after column when it strides, and misses no page", () => {
  const options = { "working-set": "28KiB", stride: "3" };
  const guest = new BootedGuest(sequentialWriter, { options });
  const order = Array.from({ length: 9 }, () => pagesWrittenBy(guest, 1)[0]);
  assert.deepEqual(order, [0, 3, 6, 1, 4, 2, 5, 0, 3]);
});

test("idle fills the share of memory that it is told to, and then touches nothing", () => {
  const zero = new Uint8Array(2 ** 20);
  const guest = new BootedGuest(idle, { options: { fill: "0.25" } });
  assert.equal(changedPages(zero, guest.bytes).at(-1), 63);
  assert.deepEqual(pagesWrittenBy(guest, 10_000), []);
  assert.deepEqual(new BootedGuest(idle, { options: { content: "zero" } }).bytes, zero);
});

test("idle leaves memory of zeros never written, or written, as it is told to", () => {
  const stamped = (content: string) => {
    const ram = GuestRam.allocate(2 ** 20, 1);
    const epoch = new EpochMember(ram.words, 0);
    epoch.rejoin();
    const never = () => {
      throw new Error("nothing is missing here");
    };
    const waits = { awaitPage: never, foundPage: never, futexWait: never };
    idle.boot(new TrackedMemory(ram, epoch, waits), { content, fill: "25%" }, 1);
    assert.ok(new Uint8Array(ram.buffer).every((byte) => byte === 0));
    return [...ram.stamps].flatMap((stamp, page) => (stamp === NEVER ? [] : [page]));
  };
  assert.deepEqual(stamped("zero"), []);
  assert.deepEqual(
    stamped("written-zero"),
    Array.from({ length: 64 }, (_, page) => page),
  );
});

/** How often each page is written, most first, and which ones the most written are. */
function hotPages(scatter: string): { readonly counts: number[]; readonly hottest: number[] } {
  const guest = new BootedGuest(hotCold, { options: { scatter, "write-ratio": "1" } });
  const counts = Array.from({ length: 256 }, () => 0);
  const memory = spiedStores(guest, (page) => counts[page]!++);
  hotCold.step(memory, guest.cpu, 50_000);
  const pages = counts.map((_, page) => page).sort((a, b) => counts[b]! - counts[a]!);
  return { counts: counts.sort((a, b) => b - a), hottest: pages.slice(0, 4) };
}

function spiedStores(guest: BootedGuest, seen: (page: number) => void): BootedGuest["memory"] {
  const memory = Object.create(guest.memory) as BootedGuest["memory"];
  memory.store32 = (address, value) => {
    if (address % 8 === 0) seen(Math.floor(address / PAGE_BYTES));
    guest.memory.store32(address, value);
  };
  return memory;
}

test("hot-cold writes few pages often and most pages rarely", () => {
  const { counts } = hotPages("yes");
  const hottestTenth = counts.slice(0, 26).reduce((sum, count) => sum + count, 0);
  assert.ok(hottestTenth > 0.55 * 50_000, `${String(hottestTenth)} of 50000`);
  assert.ok(counts.at(-1)! > 0, "every page is written sooner or later");
});

test("hot-cold keeps its hot pages side by side or scatters them, as it is told", () => {
  assert.deepEqual(
    hotPages("no").hottest.sort((a, b) => a - b),
    [0, 1, 2, 3],
  );
  const scattered = hotPages("yes").hottest.sort((a, b) => a - b);
  const gaps = scattered.slice(1).map((page, i) => page - scattered[i]!);
  assert.ok(Math.min(...gaps) > 16, scattered.join());
});

test("hot-cold writes in the share of operations that it is told to", () => {
  const guest = new BootedGuest(hotCold, { options: { "write-ratio": "0.3" } });
  guest.run(0, 20_000);
  const { writes } = guest.cpu;
  assert.ok(Math.abs(writes / 20_000 - 0.3) < 0.02, String(writes));
});

test("hot-cold takes the contents of what it reads into its CPU state", () => {
  const program: GuestProgram = hotCold;
  const [sound, stale] = [new BootedGuest(program), new BootedGuest(program)];
  stale.bytes.fill(0, 0, PAGE_BYTES);
  for (const guest of [sound, stale]) guest.run(0, 10_000);
  assert.notDeepEqual(stale.cpus, sound.cpus);
});
