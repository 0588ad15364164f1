import assert from "node:assert/strict";
import { test } from "node:test";
import { PageBitmap } from "../../../src/memory/bitmap.js";
import { EpochMember } from "../../../src/memory/epoch.js";
import { PAGE_BYTES } from "../../../src/memory/geometry.js";
import { GuestRam } from "../../../src/memory/ram.js";
import { TrackedMemory } from "../../../src/memory/tracked-memory.js";
import { DirtySet } from "../../../src/source/dirty-set.js";
import { MigrationTables } from "../../../src/source/migration-tables.js";
import { RateLimit } from "../../../src/source/rate-limit.js";

/** A guest of 16 pages, each written once, whose one vCPU is this thread. */
function createGuest() {
  const ram = GuestRam.allocate(16 * PAGE_BYTES, 1);
  const vcpu = new EpochMember(ram.words, 0);
  const memory = new TrackedMemory(ram, vcpu, {
    awaitPage: () => assert.fail("no page is missing"),
    foundPage: () => undefined,
    futexWait: () => "timed-out",
  });
  vcpu.rejoin();
  const store = (...pages: number[]) => {
    for (const page of pages) memory.store8(page * PAGE_BYTES, 1);
  };
  store(...Array(16).keys());
  const tables = MigrationTables.create(16, RateLimit.createState());
  const dirtySet = new DirtySet(ram, tables);
  const dirty = () => [...dirtySet.collect().pages()];
  /** Marks what is dirty; the vCPU passes a safepoint meanwhile. */
  const mark = async (choose = () => dirtySet.collect()) => {
    const marked = dirtySet.mark(choose);
    vcpu.acknowledge();
    const { epoch, pages } = await marked;
    return { epoch, pages: [...pages.pages()] };
  };
  return { ram, tables, dirtySet, store, dirty, mark, vcpu };
}

test("every page is dirty that was never marked", async () => {
  const { dirty, mark } = createGuest();
  assert.equal(dirty().length, 16);
  const some = PageBitmap.empty(16);
  some.add(3);
  await mark(() => some);
  assert.deepEqual(dirty(), [0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
});

test("a mark names what was written since the last, and forgets it", async () => {
  const { store, dirty, mark } = createGuest();
  await mark();
  assert.deepEqual(dirty(), []);
  store(5, 9);
  assert.deepEqual((await mark()).pages, [5, 9]);
  store(9, 11);
  assert.deepEqual((await mark()).pages, [9, 11]);
  assert.deepEqual((await mark()).pages, []);
});

test("a write that comes after the epoch opened is dirty afterwards, though it was named", async () => {
  const { ram, dirtySet, store, dirty, mark, vcpu } = createGuest();
  await mark();
  const marked = dirtySet.mark(() => {
    store(7);
    return dirtySet.collect();
  });
  store(2); // The vCPU has not seen the epoch yet.
  vcpu.acknowledge();
  store(4); // It has, and nobody has collected.
  const { epoch, pages } = await marked;
  assert.deepEqual([...pages.pages()], [2, 4, 7]);
  assert.deepEqual(dirty(), [4, 7]);
  // So a round skips just those.
  assert.deepEqual(
    [...pages.pages()].filter((page) => ram.stamps[page]! >= epoch),
    [4, 7],
  );
});

test("a torn page stays dirty until it is sent, whatever is marked", async () => {
  const { tables, dirty, mark } = createGuest();
  await mark();
  tables.resend.claim(6);
  assert.deepEqual((await mark()).pages, [6]);
  assert.deepEqual(dirty(), [6]);
  tables.resend.take(6);
  assert.deepEqual(dirty(), []);
});
