import assert from "node:assert/strict";
import { test } from "node:test";
import { TouchedPages } from "../../../src/guest/touched-pages.js";
import { EpochMember, openEpoch } from "../../../src/memory/epoch.js";
import { PAGE_BYTES } from "../../../src/memory/geometry.js";
import { GuestRam } from "../../../src/memory/ram.js";
import { TrackedMemory, type VcpuWaits } from "../../../src/memory/tracked-memory.js";
import { ABSENT } from "../../../src/memory/words.js";

/** A vCPU whose pages are watched, and the pages that it had to wait for or found unpublished. */
function watched() {
  const ram = GuestRam.allocate(16 * PAGE_BYTES, 1);
  const epoch = new EpochMember(ram.words, 0);
  epoch.rejoin();
  const awaited: number[] = [];
  const found: number[] = [];
  const waits: VcpuWaits = {
    awaitPage: (page) => awaited.push(page),
    foundPage: (page) => found.push(page),
    futexWait: () => "not-equal",
  };
  const touched = new TouchedPages(ram, epoch, waits);
  return { ram, epoch, awaited, found, touched, memory: touched.memory };
}

test("every kind of access is written down once, in the order of the first touches", () => {
  const { memory, touched } = watched();
  memory.store32(5 * PAGE_BYTES, 7);
  memory.loadU8(2 * PAGE_BYTES + 9);
  memory.loadU32(5 * PAGE_BYTES);
  memory.fill(8 * PAGE_BYTES - 1, 2, 1);
  memory.atomicAdd32(11 * PAGE_BYTES, 1);
  assert.equal(memory.wait32(12 * PAGE_BYTES, 0, 1), "not-equal");
  assert.deepEqual(touched.take(), [5, 2, 7, 8, 11, 12]);
  assert.deepEqual(touched.take(), []);
});

test("what is stored is in memory, and its page is stamped with the vCPU's epoch", () => {
  const { ram, epoch, memory, touched, awaited, found } = watched();
  openEpoch(ram.words);
  epoch.acknowledge();
  memory.store32(3 * PAGE_BYTES, 0x01020304);
  touched.take();
  assert.equal(new Int32Array(ram.buffer)[(3 * PAGE_BYTES) / 4], 0x01020304);
  assert.equal(ram.stamps[3], epoch.current);
  assert.deepEqual([awaited, found], [[], []]);
});

test("a page that was only read, or written with what it held, keeps its stamp", () => {
  const { ram, epoch, memory, touched } = watched();
  const old = ram.stamps[3];
  openEpoch(ram.words);
  epoch.acknowledge();
  memory.loadU32(3 * PAGE_BYTES);
  memory.store32(4 * PAGE_BYTES, 0);
  memory.readBytes(5 * PAGE_BYTES, new Uint8Array(2 * PAGE_BYTES));
  assert.deepEqual(touched.take(), [3, 4, 5, 6]);
  assert.ok(ram.stamps.subarray(3, 7).every((stamp) => stamp === old));
});

test("a page that is missing is waited for, one that is not published is found, and neither is stamped", () => {
  const { ram, memory, touched, awaited, found } = watched();
  ram.stamps[4] = ABSENT;
  ram.stamps[6] = ABSENT;
  ram.arrived.claim(6);
  memory.store8(4 * PAGE_BYTES, 1);
  memory.store8(6 * PAGE_BYTES, 1);
  assert.deepEqual([awaited, found], [[4], [6]]);
  assert.deepEqual(touched.take(), [4, 6]);
  assert.deepEqual([ram.stamps[4], ram.stamps[6]], [ABSENT, ABSENT]);
});

test("an access that a processor would trap is one here", () => {
  const { ram, memory } = watched();
  assert.throws(() => memory.loadU32(ram.byteLength), { name: "GuestFault" });
  assert.throws(() => memory.loadU32(2), { name: "GuestFault" });
});

test("it is memory of the very kind that programs run on every day", () => {
  const { ram, epoch, touched } = watched();
  assert.equal(Object.getPrototypeOf(touched.memory), TrackedMemory.prototype);
  const plain = new TrackedMemory(ram, epoch, touched);
  assert.deepEqual(Object.keys(touched.memory), Object.keys(plain));
});
