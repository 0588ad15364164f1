import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  everyPage,
  isRamSize,
  MAX_RAM_BYTES,
  MAX_VCPUS,
  MIN_RAM_BYTES,
  PAGE_BYTES,
  RAM_GRAIN_BYTES,
} from "../../../src/memory/geometry.js";
import { GuestRam } from "../../../src/memory/ram.js";
import { ABSENT, FIRST_EPOCH, GUEST_WORDS, NEVER, wordCount } from "../../../src/memory/words.js";
import "../../seed.js";

const SIZE = 16 * RAM_GRAIN_BYTES;

test("GuestRam is zero, never written, and has no page that arrived", () => {
  const ram = GuestRam.allocate(SIZE, 2);
  assert.equal(ram.byteLength, SIZE);
  assert.equal(ram.pageCount, SIZE / PAGE_BYTES);
  assert.ok(new Uint8Array(ram.buffer).every((byte) => byte === 0));
  assert.ok(ram.stamps.every((stamp) => stamp === NEVER));
  assert.equal(ram.arrived.count(), 0);
  assert.equal(Atomics.load(ram.words, GUEST_WORDS.EPOCH), FIRST_EPOCH);
});

test("GuestRam opened twice on one handle is one memory with one set of tables", () => {
  const ram = GuestRam.allocate(SIZE, 2);
  const other = new GuestRam(structuredClone(ram.handle));
  new Uint8Array(ram.buffer)[SIZE - 1] = 7;
  ram.stamps[ram.pageCount - 1] = 9;
  ram.arrived.claim(ram.pageCount - 1);
  Atomics.store(ram.words, GUEST_WORDS.EPOCH, 5);
  assert.equal(new Uint8Array(other.buffer)[SIZE - 1], 7);
  assert.equal(other.stamps[other.pageCount - 1], 9);
  assert.deepEqual([other.arrived.count(), other.arrived.has(ram.pageCount - 1)], [1, true]);
  assert.equal(Atomics.load(other.words, GUEST_WORDS.EPOCH), 5);
});

test("GuestRam keeps its tables apart from each other", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 40 }),
      fc.integer({ min: 1, max: MAX_VCPUS }),
      (units, vcpuCount) => {
        const ram = GuestRam.allocate(units * RAM_GRAIN_BYTES, vcpuCount);
        assert.equal(ram.words.length, wordCount(vcpuCount));
        assert.equal(ram.stamps.length, ram.pageCount);
        ram.words.fill(1);
        ram.stamps.fill(2);
        ram.slate.words.fill(3);
        ram.slate.bits.fill(4);
        ram.arrived.addRange(everyPage(ram.byteLength));
        assert.ok(ram.absent.every((entry) => entry === ABSENT));
        assert.ok(ram.slate.words.every((word) => word === 3));
        assert.ok(ram.slate.bits.every((word) => word === 4));
        assert.ok(ram.words.every((word) => word === 1));
        assert.ok(ram.stamps.every((stamp) => stamp === 2));
        assert.equal(ram.arrived.count(), ram.pageCount);
      },
    ),
    { numRuns: 20 },
  );
});

test("GuestRam comes in whole 64 KiB up to 4 GiB, and in no other size", () => {
  assert.equal(isRamSize(MIN_RAM_BYTES), true);
  assert.equal(isRamSize(MAX_RAM_BYTES), true);
  const wrong = [
    0,
    -RAM_GRAIN_BYTES,
    MIN_RAM_BYTES - 1,
    MIN_RAM_BYTES + PAGE_BYTES,
    RAM_GRAIN_BYTES * 1.5,
    MAX_RAM_BYTES + RAM_GRAIN_BYTES,
    NaN,
    Infinity,
  ];
  for (const ramBytes of wrong) {
    assert.equal(isRamSize(ramBytes), false, String(ramBytes));
    assert.throws(() => GuestRam.allocate(ramBytes, 1), RangeError, String(ramBytes));
  }
});

test("GuestRam has 1 to 8 vCPUs", () => {
  for (const vcpuCount of [1, MAX_VCPUS]) GuestRam.allocate(SIZE, vcpuCount);
  for (const vcpuCount of [0, -1, 1.5, MAX_VCPUS + 1, NaN]) {
    assert.throws(() => GuestRam.allocate(SIZE, vcpuCount), RangeError, String(vcpuCount));
  }
});
