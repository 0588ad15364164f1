import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { PageBitmap } from "../../../src/memory/bitmap.js";
import { PAGE_BYTES, RAM_GRAIN_BYTES } from "../../../src/memory/geometry.js";
import { PageTables } from "../../../src/memory/page-tables.js";
import { GuestRam } from "../../../src/memory/ram.js";
import { ABSENT, QUIESCENT } from "../../../src/memory/words.js";
import "../../seed.js";

const GRAIN_PAGES = RAM_GRAIN_BYTES / PAGE_BYTES;

/** A guest of one to five grains: whole words of a set, and half of one at its end. */
const sizes = fc.integer({ min: 1, max: 5 }).map((grains) => grains * GRAIN_PAGES);
/** Stretches of pages that are alike, so that whole words and quarters of words are full or empty as well. */
const stretches = fc
  .array(fc.tuple(fc.integer({ min: 1, max: 40 }), fc.boolean()), { minLength: 1, maxLength: 12 })
  .map((runs) => runs.flatMap(([length, isIn]) => Array<boolean>(length).fill(isIn)));
/** The least and the greatest that a stamp can be, and what lies near a mark. */
const stamps = fc.constantFrom(ABSENT, 0, 1, 2, 3, 0x10000, 0x10001, QUIESCENT - 1);

function setOf(pageCount: number, isIn: readonly boolean[]): PageBitmap {
  const set = PageBitmap.empty(pageCount);
  for (let page = 0; page < pageCount; page += 1) if (isIn[page] === true) set.add(page);
  return set;
}

test("PageTables adds the pages that were written since their mark to those of a set", () => {
  fc.assert(
    fc.property(
      sizes.chain((pageCount) => {
        const table = fc.array(stamps, { minLength: pageCount, maxLength: pageCount });
        return fc.tuple(table, table, stretches);
      }),
      ([stamped, marked, before]) => {
        const pageCount = stamped.length;
        const ram = GuestRam.allocate(pageCount * PAGE_BYTES, 1);
        ram.stamps.set(stamped);
        const set = setOf(pageCount, before);
        new PageTables(ram).addWritten(new Int32Array(marked), set);
        assert.deepEqual(
          [...set.pages()],
          stamped.flatMap((stamp, page) =>
            before[page] === true || stamp >= marked[page]! ? [page] : [],
          ),
        );
        assert.deepEqual([...ram.stamps], stamped, "it only looks at stamps");
      },
    ),
  );
});

test("PageTables stamps the pages of a set, and nothing else of a guest's tables", () => {
  fc.assert(
    fc.property(sizes, stretches, stamps, (pageCount, isIn, stamp) => {
      const ram = GuestRam.allocate(pageCount * PAGE_BYTES, 1);
      ram.words.fill(5);
      ram.stamps.fill(7);
      new PageTables(ram).stamp(setOf(pageCount, isIn), stamp);
      assert.deepEqual(
        [...ram.stamps],
        Array.from({ length: pageCount }, (_, page) => (isIn[page] === true ? stamp : 7)),
      );
      assert.ok(ram.words.every((word) => word === 5));
      assert.ok(ram.absent.every((entry) => entry === ABSENT));
      assert.equal(ram.arrived.count(), 0);
    }),
  );
});
