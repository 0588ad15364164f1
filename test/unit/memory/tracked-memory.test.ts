import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { GuestFault, type GuestMemory } from "../../../src/memory/access.js";
import { EpochMember, openEpoch } from "../../../src/memory/epoch.js";
import { PAGE_BYTES } from "../../../src/memory/geometry.js";
import { GuestRam } from "../../../src/memory/ram.js";
import { TrackedMemory } from "../../../src/memory/tracked-memory.js";
import { ABSENT, FIRST_EPOCH, NEVER } from "../../../src/memory/words.js";
import "../../seed.js";

const RAM_BYTES = 64 * 1024;
const PAGES = RAM_BYTES / PAGE_BYTES;

/** A guest of one vCPU, whose thread is this one, and what its accesses led to. */
function createGuest(ramBytes = RAM_BYTES) {
  const ram = GuestRam.allocate(ramBytes, 1);
  const epoch = new EpochMember(ram.words, 0);
  epoch.rejoin();
  const bytes = new Uint8Array(ram.buffer);
  /** Pages that the vCPU waited for, and those that it found arrived but not published. */
  const awaited: number[] = [];
  const found: number[] = [];
  /** Whether the main thread publishes a page, and opens another epoch, before the vCPU has a core again. */
  const publish = { whileWaiting: false };
  const memory = new TrackedMemory(ram, epoch, {
    awaitPage: (page) => {
      awaited.push(page);
      epoch.quiesce();
      bytes.fill(contentOf(page), page * PAGE_BYTES, (page + 1) * PAGE_BYTES);
      ram.arrived.claim(page);
      if (publish.whileWaiting) {
        ram.stamps[page] = FIRST_EPOCH;
        openEpoch(ram.words);
      }
      epoch.rejoin();
    },
    foundPage: (page) => found.push(page),
    futexWait: () => "timed-out",
  });
  return {
    ram,
    memory,
    epoch,
    bytes,
    awaited,
    found,
    publish,
    /** The next safepoint lies in a new epoch. */
    passEpoch: () => {
      openEpoch(ram.words);
      epoch.acknowledge();
    },
    /** What the pages' stamps say. */
    stamps: () => [...ram.stamps],
  };
}

/** What a page holds that comes from elsewhere. */
function contentOf(page: number): number {
  return 0x80 + page;
}

/** One access: what it does to guest memory, and what a naive machine does with a DataView. */
interface Access {
  readonly name: string;
  readonly address: number;
  readonly byteCount: number;
  readonly isStore: boolean;
  readonly isAligned: boolean;
  readonly guest: (memory: GuestMemory) => unknown;
  readonly oracle: (view: DataView) => unknown;
}

type Made = Pick<Access, "name" | "byteCount" | "isStore" | "guest" | "oracle">;

function typedAccesses(address: number, value: number, big: bigint): Made[] {
  const load = (name: string, byteCount: number, guest: Made["guest"], oracle: Made["oracle"]) => ({
    name,
    byteCount,
    isStore: false,
    guest,
    oracle,
  });
  const store = (
    name: string,
    byteCount: number,
    guest: Made["guest"],
    oracle: Made["oracle"],
  ) => ({
    name,
    byteCount,
    isStore: true,
    guest,
    oracle,
  });
  const swap = (view: DataView, made: number) => {
    const old = view.getInt32(address, true);
    view.setInt32(address, made, true);
    return old;
  };
  return [
    load(
      "loadU8",
      1,
      (m) => m.loadU8(address),
      (v) => v.getUint8(address),
    ),
    load(
      "loadU16",
      2,
      (m) => m.loadU16(address),
      (v) => v.getUint16(address, true),
    ),
    load(
      "loadU32",
      4,
      (m) => m.loadU32(address),
      (v) => v.getUint32(address, true),
    ),
    load(
      "loadI32",
      4,
      (m) => m.loadI32(address),
      (v) => v.getInt32(address, true),
    ),
    load(
      "loadU64",
      8,
      (m) => m.loadU64(address),
      (v) => v.getBigUint64(address, true),
    ),
    load(
      "loadF32",
      4,
      (m) => m.loadF32(address),
      (v) => v.getFloat32(address, true),
    ),
    load(
      "loadF64",
      8,
      (m) => m.loadF64(address),
      (v) => v.getFloat64(address, true),
    ),
    load(
      "atomicLoad32",
      4,
      (m) => m.atomicLoad32(address),
      (v) => v.getInt32(address, true),
    ),
    store(
      "store8",
      1,
      (m) => m.store8(address, value),
      (v) => v.setUint8(address, value),
    ),
    store(
      "store16",
      2,
      (m) => m.store16(address, value),
      (v) => v.setUint16(address, value, true),
    ),
    store(
      "store32",
      4,
      (m) => m.store32(address, value),
      (v) => v.setUint32(address, value, true),
    ),
    store(
      "store64",
      8,
      (m) => m.store64(address, big),
      (v) => v.setBigUint64(address, big, true),
    ),
    store(
      "storeF32",
      4,
      (m) => m.storeF32(address, value),
      (v) => v.setFloat32(address, value, true),
    ),
    store(
      "storeF64",
      8,
      (m) => m.storeF64(address, value),
      (v) => v.setFloat64(address, value, true),
    ),
    store(
      "atomicStore32",
      4,
      (m) => m.atomicStore32(address, value),
      (v) => v.setInt32(address, value, true),
    ),
    store(
      "atomicAdd32",
      4,
      (m) => m.atomicAdd32(address, value),
      (v) => swap(v, v.getInt32(address, true) + value),
    ),
    store(
      "atomicCompareExchange32",
      4,
      (m) => m.atomicCompareExchange32(address, 0, value),
      (v) => swap(v, v.getInt32(address, true) === 0 ? value : v.getInt32(address, true)),
    ),
  ];
}

function byteAccesses(address: number, byteCount: number, value: number): Made[] {
  const bytes = Uint8Array.from({ length: byteCount }, (_, index) => value + index);
  const part = (view: DataView) => {
    if (byteCount < 0 || address < 0) throw new RangeError("outside");
    return new Uint8Array(view.buffer, address, byteCount);
  };
  return [
    {
      name: "readBytes",
      byteCount,
      isStore: false,
      guest: (memory) => {
        const target = new Uint8Array(byteCount);
        memory.readBytes(address, target);
        return target;
      },
      oracle: (view) => part(view).slice(),
    },
    {
      name: "writeBytes",
      byteCount,
      isStore: true,
      guest: (memory) => memory.writeBytes(address, bytes),
      oracle: (view) => part(view).set(bytes),
    },
    {
      name: "fill",
      byteCount,
      isStore: true,
      guest: (memory) => memory.fill(address, byteCount, value),
      oracle: (view) => void part(view).fill(value),
    },
  ];
}

/** Addresses anywhere, often at the edges of pages and of memory. */
const address = fc.oneof(
  fc.nat(RAM_BYTES - 1),
  fc
    .tuple(fc.nat(PAGES), fc.integer({ min: -9, max: 9 }))
    .map(([page, by]) => page * PAGE_BYTES + by),
);
const aligned = fc.nat(RAM_BYTES / 8 - 1).map((index) => index * 8);

const access: fc.Arbitrary<Access> = fc.oneof(
  fc
    .tuple(
      fc.oneof(address, aligned),
      fc.integer(),
      fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      fc.nat(),
    )
    .map(([at, value, big, which]) => {
      const made = typedAccesses(at, value, big);
      const it = made[which % made.length]!;
      return { ...it, address: at, isAligned: at % it.byteCount === 0 };
    }),
  fc
    .tuple(address, fc.oneof(fc.nat(64), fc.nat(3 * PAGE_BYTES)), fc.nat(255), fc.nat(2))
    .map(([at, byteCount, value, which]) => {
      const it = byteAccesses(at, byteCount, value)[which]!;
      return { ...it, address: at, isAligned: true };
    }),
);

function show({ name, address: at, byteCount }: Access): string {
  return `${name} of ${String(byteCount)} bytes at ${String(at)}`;
}

/** The pages that an access of at least one byte touches. */
function touched({ address: at, byteCount }: Access): number[] {
  const pages: number[] = [];
  for (let page = 0; page < PAGES; page += 1) {
    const overlaps = at < (page + 1) * PAGE_BYTES && at + byteCount > page * PAGE_BYTES;
    if (byteCount > 0 && overlaps) pages.push(page);
  }
  return pages;
}

function isInside({ address: at, byteCount }: Access): boolean {
  return at >= 0 && at + byteCount <= RAM_BYTES;
}

/** Does the access on both machines; the naive one traps where it has to, not where DataView does. */
function doOnBoth(it: Access, memory: GuestMemory, view: DataView): void {
  if (isInside(it) && it.isAligned) {
    assert.deepEqual(it.guest(memory), it.oracle(view), show(it));
  } else {
    assert.throws(() => it.guest(memory), GuestFault, show(it));
  }
}

test("TrackedMemory holds what a DataView holds, and stamps the pages that were written alone", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(access, fc.boolean()), { maxLength: 60 }), (accesses) => {
      const { memory, bytes, epoch, passEpoch, stamps, awaited, found } = createGuest();
      const view = new DataView(new ArrayBuffer(RAM_BYTES));
      const expected = Array.from({ length: PAGES }, () => NEVER);
      for (const [it, isNewEpoch] of accesses) {
        if (isNewEpoch) passEpoch();
        doOnBoth(it, memory, view);
        if (it.isStore && it.isAligned && isInside(it)) {
          for (const page of touched(it)) expected[page] = epoch.current;
        }
        assert.deepEqual(stamps(), expected, show(it));
      }
      assert.equal(Buffer.compare(bytes, new Uint8Array(view.buffer)), 0);
      assert.deepEqual([awaited, found], [[], []]);
    }),
  );
});

test("TrackedMemory brings a missing page before it is touched, once, and leaves its stamp alone", () => {
  const state = fc.array(fc.constantFrom("here", "arrived", "missing"), {
    minLength: PAGES,
    maxLength: PAGES,
  });
  fc.assert(
    fc.property(state, fc.array(access, { maxLength: 60 }), (states, accesses) => {
      const { ram, memory, bytes, epoch, stamps, awaited, found } = createGuest();
      const view = new DataView(new ArrayBuffer(RAM_BYTES));
      states.forEach((it, page) => {
        const start = page * PAGE_BYTES;
        new Uint8Array(view.buffer).fill(contentOf(page), start, start + PAGE_BYTES);
        bytes.fill(it === "missing" ? 0xff : contentOf(page), start, start + PAGE_BYTES);
        if (it !== "here") ram.stamps[page] = ABSENT;
        if (it === "arrived") ram.arrived.claim(page);
      });
      const missing = new Set(states.flatMap((it, page) => (it === "missing" ? [page] : [])));
      const expected = stamps();
      for (const it of accesses) {
        awaited.length = 0;
        found.length = 0;
        doOnBoth(it, memory, view);
        // A typed access brings its page before it looks at the alignment; that is no harm.
        const inside = isInside(it);
        const needed = inside && it.isAligned ? touched(it) : [];
        for (const page of needed) {
          if (it.isStore && states[page] === "here") expected[page] = epoch.current;
        }
        if (inside && it.isAligned) {
          assert.deepEqual(
            awaited,
            needed.filter((page) => missing.has(page)),
            show(it),
          );
          const unpublished = needed.filter((page) => states[page] !== "here");
          assert.deepEqual(
            found,
            unpublished.filter((page) => !missing.has(page)),
            show(it),
          );
        }
        for (const page of awaited) missing.delete(page);
        assert.deepEqual(stamps(), expected, show(it));
      }
      for (const page of missing)
        bytes.fill(contentOf(page), page * PAGE_BYTES, (page + 1) * PAGE_BYTES);
      assert.equal(Buffer.compare(bytes, new Uint8Array(view.buffer)), 0);
    }),
  );
});

test("TrackedMemory stamps a write to a page that was published while its vCPU waited for it", () => {
  const at = 2 * PAGE_BYTES;
  const stores = [...typedAccesses(at, 1, 1n), ...byteAccesses(at, 8, 1)].filter(
    ({ isStore }) => isStore,
  );
  for (const { name, guest } of stores) {
    const { ram, memory, epoch, publish } = createGuest();
    ram.stamps[2] = ABSENT;
    publish.whileWaiting = true;
    guest(memory);
    assert.equal(epoch.current, FIRST_EPOCH + 1);
    assert.equal(ram.stamps[2], epoch.current, name);
  }
});

test("TrackedMemory traps every typed access that is not within its memory or not aligned", () => {
  const { memory, bytes, stamps } = createGuest();
  const outside = [
    RAM_BYTES,
    RAM_BYTES + 8,
    -8,
    -(2 ** 31),
    2 ** 32 - 8,
    2 ** 32,
    2 ** 32 + 8,
    2 ** 53,
  ];
  const senseless = [NaN, Infinity, -Infinity, 0.5, 8.5];
  for (const at of [...outside, ...senseless]) {
    for (const { name, guest } of typedAccesses(at, 1, 1n)) {
      assert.throws(() => guest(memory), GuestFault, `${name} at ${String(at)}`);
    }
  }
  for (let at = 1; at < 8; at += 1) {
    for (const { name, byteCount, guest } of typedAccesses(at, 1, 1n)) {
      if (at % byteCount === 0) continue;
      assert.throws(() => guest(memory), GuestFault, `${name} at ${String(at)}`);
    }
  }
  assert.deepEqual(
    stamps(),
    Array.from({ length: PAGES }, () => NEVER),
  );
  assert.ok(bytes.every((byte) => byte === 0));
});

test("TrackedMemory traps a range of bytes that leaves its memory, and writes none of it", () => {
  const { memory, bytes, stamps } = createGuest();
  const ranges = [
    [RAM_BYTES, 1],
    [RAM_BYTES - 1, 2],
    [-1, 1],
    [-1, 2],
    [0, RAM_BYTES + 1],
    [2 ** 32, 1],
    [NaN, 1],
  ] as const;
  for (const [at, byteCount] of ranges) {
    for (const { name, guest } of byteAccesses(at, byteCount, 7)) {
      assert.throws(() => guest(memory), GuestFault, `${name} at ${String(at)}`);
    }
  }
  assert.throws(() => memory.fill(8, -1, 7), GuestFault);
  assert.deepEqual(
    stamps(),
    Array.from({ length: PAGES }, () => NEVER),
  );
  assert.ok(bytes.every((byte) => byte === 0));
});

test("TrackedMemory takes a range of no bytes anywhere in memory, and touches no page for it", () => {
  const { ram, memory, stamps, awaited } = createGuest();
  ram.stamps.fill(ABSENT);
  for (const at of [0, 5, PAGE_BYTES, RAM_BYTES - 1, RAM_BYTES]) {
    memory.fill(at, 0, 7);
    memory.writeBytes(at, new Uint8Array());
    memory.readBytes(at, new Uint8Array());
  }
  assert.deepEqual(awaited, []);
  assert.deepEqual(
    stamps(),
    Array.from({ length: PAGES }, () => ABSENT),
  );
});

test("TrackedMemory says where a fault was", () => {
  const { memory } = createGuest();
  assert.throws(
    () => memory.loadU32(6),
    (error) => error instanceof GuestFault && error.address === 6 && error.byteCount === 4,
  );
});

test("TrackedMemory reaches the last bytes of 4 GiB", (t) => {
  const ramBytes = 4 * 2 ** 30;
  let guest;
  try {
    guest = createGuest(ramBytes);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    t.skip("this machine does not give 4 GiB of address space");
    return;
  }
  const { memory, ram } = guest;
  memory.store64(ramBytes - 8, 0x1122334455667788n);
  assert.equal(memory.loadU8(ramBytes - 1), 0x11);
  assert.equal(memory.loadU32(ramBytes - 8), 0x55667788);
  memory.fill(ramBytes - 3, 3, 0xab);
  assert.equal(memory.loadU32(ramBytes - 4), 0xababab44);
  assert.equal(ram.stamps[ram.pageCount - 1], 1);
  assert.throws(() => memory.loadU8(ramBytes), GuestFault);
  assert.throws(() => memory.loadU8(-1), GuestFault);
});
