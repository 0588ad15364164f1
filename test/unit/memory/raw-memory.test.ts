import assert from "node:assert/strict";
import { test } from "node:test";
import { GuestFault } from "../../../src/memory/access.js";
import { RawMemory } from "../../../src/memory/raw-memory.js";

const BYTES = 2 ** 16;

function fresh(): { readonly memory: RawMemory; readonly view: DataView } {
  const buffer = new SharedArrayBuffer(BYTES);
  return { memory: new RawMemory(buffer), view: new DataView(buffer) };
}

/** Every access of one size, as an action at an address. */
const ACCESSES: readonly (readonly [string, number, (memory: RawMemory, at: number) => unknown])[] =
  [
    ["loadU8", 1, (memory, at) => memory.loadU8(at)],
    ["loadU16", 2, (memory, at) => memory.loadU16(at)],
    ["loadU32", 4, (memory, at) => memory.loadU32(at)],
    ["loadI32", 4, (memory, at) => memory.loadI32(at)],
    ["loadU64", 8, (memory, at) => memory.loadU64(at)],
    ["loadF32", 4, (memory, at) => memory.loadF32(at)],
    ["loadF64", 8, (memory, at) => memory.loadF64(at)],
    [
      "store8",
      1,
      (memory, at) => {
        memory.store8(at, 1);
      },
    ],
    [
      "store16",
      2,
      (memory, at) => {
        memory.store16(at, 1);
      },
    ],
    [
      "store32",
      4,
      (memory, at) => {
        memory.store32(at, 1);
      },
    ],
    [
      "store64",
      8,
      (memory, at) => {
        memory.store64(at, 1n);
      },
    ],
    [
      "storeF32",
      4,
      (memory, at) => {
        memory.storeF32(at, 1);
      },
    ],
    [
      "storeF64",
      8,
      (memory, at) => {
        memory.storeF64(at, 1);
      },
    ],
    ["atomicLoad32", 4, (memory, at) => memory.atomicLoad32(at)],
    [
      "atomicStore32",
      4,
      (memory, at) => {
        memory.atomicStore32(at, 1);
      },
    ],
    ["atomicAdd32", 4, (memory, at) => memory.atomicAdd32(at, 1)],
    ["atomicCompareExchange32", 4, (memory, at) => memory.atomicCompareExchange32(at, 0, 1)],
    ["wait32", 4, (memory, at) => memory.wait32(at, 1, 0)],
    ["notify32", 4, (memory, at) => memory.notify32(at, 1)],
  ];

for (const [name, byteCount, access] of ACCESSES) {
  test(`RawMemory traps ${name} outside memory or out of alignment, and nothing else`, () => {
    const { memory } = fresh();
    access(memory, 0);
    access(memory, BYTES - byteCount);
    const outside = [BYTES, -byteCount, 2 ** 32, 2 ** 32 + 8, 2 ** 40, 0.5, Number.NaN];
    const misaligned = byteCount === 1 ? [] : [1, byteCount / 2, BYTES - byteCount / 2];
    for (const address of [...outside, ...misaligned]) {
      assert.throws(() => access(memory, address), GuestFault, `address ${String(address)}`);
    }
  });
}

test("RawMemory keeps values little-endian, cut to their size", () => {
  const { memory, view } = fresh();
  memory.store8(0, 0x1ff);
  memory.store16(2, 0x1_8001);
  memory.store32(4, -2);
  memory.store64(8, 0x8000_0000_0000_0001n);
  memory.storeF32(16, 1.5);
  memory.storeF64(24, -Math.PI);
  assert.equal(view.getUint8(0), 0xff);
  assert.equal(view.getUint16(2, true), 0x8001);
  assert.equal(view.getUint32(4, true), 0xfffffffe);
  assert.equal(view.getBigUint64(8, true), 0x8000_0000_0000_0001n);
  assert.equal(view.getFloat32(16, true), 1.5);
  assert.equal(view.getFloat64(24, true), -Math.PI);
  assert.equal(memory.loadU8(0), 0xff);
  assert.equal(memory.loadU16(2), 0x8001);
  assert.equal(memory.loadU32(4), 0xfffffffe);
  assert.equal(memory.loadI32(4), -2);
  assert.equal(memory.loadU64(8), 0x8000_0000_0000_0001n);
  assert.equal(memory.loadF32(16), 1.5);
  assert.equal(memory.loadF64(24), -Math.PI);
});

test("RawMemory moves bytes of any length at any alignment", () => {
  for (const length of [0, 1, 63, 64, 65, 5000]) {
    const { memory } = fresh();
    const source = Uint8Array.from({ length }, (_, i) => i * 7 + 1);
    memory.writeBytes(4093, source);
    const target = new Uint8Array(length);
    memory.readBytes(4093, target);
    assert.deepEqual(target, source);
    assert.equal(memory.loadU8(4092), 0);
    assert.equal(memory.loadU8(4093 + length), 0);
  }
  const { memory } = fresh();
  memory.fill(3, 10, 0xab);
  const around = new Uint8Array(12);
  memory.readBytes(2, around);
  assert.deepEqual([...around], [0, ...Array.from({ length: 10 }, () => 0xab), 0]);
});

test("RawMemory traps ranges that do not lie wholly inside", () => {
  const { memory } = fresh();
  const two = new Uint8Array(2);
  for (const address of [-1, BYTES - 1, BYTES, 2 ** 32, 0.5, Number.NaN]) {
    assert.throws(() => {
      memory.readBytes(address, two);
    }, GuestFault);
    assert.throws(() => {
      memory.writeBytes(address, two);
    }, GuestFault);
    assert.throws(() => {
      memory.fill(address, 2, 1);
    }, GuestFault);
  }
  assert.throws(() => {
    memory.fill(0, -1, 1);
  }, GuestFault);
  memory.writeBytes(BYTES - 2, two);
});

test("RawMemory's atomic operations give the old value and work on signed words", () => {
  const { memory } = fresh();
  memory.atomicStore32(8, -5);
  assert.equal(memory.atomicAdd32(8, 3), -5);
  assert.equal(memory.atomicCompareExchange32(8, -2, 9), -2);
  assert.equal(memory.atomicCompareExchange32(8, -2, 10), 9);
  assert.equal(memory.atomicLoad32(8), 9);
  assert.equal(memory.wait32(8, 1, 1000), "not-equal");
  assert.equal(memory.wait32(8, 9, 1), "timed-out");
  assert.equal(memory.notify32(8, 1), 0);
});
