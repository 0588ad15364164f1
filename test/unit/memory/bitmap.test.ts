import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { AtomicPageBitmap, bitmapBytes, PageBitmap } from "../../../src/memory/bitmap.js";
import "../../seed.js";

/** How many pages there are, and some of them, in any order and perhaps twice. */
const somePages = fc
  .integer({ min: 1, max: 200 })
  .chain((pageCount) =>
    fc.tuple(
      fc.constant(pageCount),
      fc.array(fc.nat(pageCount - 1)),
      fc.array(fc.nat(pageCount - 1)),
    ),
  );

function ascending(pages: Iterable<number>): number[] {
  return [...new Set(pages)].sort((a, b) => a - b);
}

function bitmapOf(pageCount: number, pages: Iterable<number>): PageBitmap {
  const bitmap = PageBitmap.empty(pageCount);
  for (const page of pages) bitmap.add(page);
  return bitmap;
}

function atomicOf(pageCount: number, pages: Iterable<number>): AtomicPageBitmap {
  const { bitmap } = AtomicPageBitmap.create(pageCount);
  for (const page of pages) bitmap.claim(page);
  return bitmap;
}

function pagesOf(bitmap: AtomicPageBitmap): number[] {
  return Array.from({ length: bitmap.pageCount }, (_, page) => page).filter((it) => bitmap.has(it));
}

test("PageBitmap holds exactly the pages that were added", () => {
  fc.assert(
    fc.property(somePages, ([pageCount, pages]) => {
      const bitmap = bitmapOf(pageCount, pages);
      const set = new Set(pages);
      assert.deepEqual([...bitmap.pages()], ascending(set));
      assert.equal(bitmap.count(), set.size);
      for (let page = 0; page < pageCount; page += 1) {
        assert.equal(bitmap.has(page), set.has(page));
      }
    }),
  );
});

test("PageBitmap becomes bytes with page p in bit p % 8 of byte p / 8, and comes back", () => {
  fc.assert(
    fc.property(somePages, ([pageCount, pages]) => {
      const bytes = bitmapOf(pageCount, pages).toBytes();
      assert.equal(bytes.byteLength, bitmapBytes(pageCount));
      const set = new Set(pages);
      for (let page = 0; page < bytes.byteLength * 8; page += 1) {
        assert.equal((bytes[page >> 3]! >> (page & 7)) & 1, set.has(page) ? 1 : 0);
      }
      const back = PageBitmap.fromBytes(pageCount, bytes);
      assert.deepEqual(back && [...back.pages()], ascending(pages));
    }),
  );
});

test("PageBitmap gives bytes away that it does not share", () => {
  const bitmap = bitmapOf(64, [3]);
  const bytes = bitmap.toBytes();
  const back = PageBitmap.fromBytes(64, bytes)!;
  bytes.fill(0xff);
  assert.deepEqual([...bitmap.pages()], [3]);
  assert.deepEqual([...back.pages()], [3]);
});

test("PageBitmap refuses bytes of another length, and bits behind the last page", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 200 }), (pageCount) => {
      const length = bitmapBytes(pageCount);
      for (const other of [0, length - 4, length - 1, length + 1, length + 4]) {
        assert.equal(PageBitmap.fromBytes(pageCount, new Uint8Array(other)), undefined);
      }
      for (let bit = 0; bit < length * 8; bit += 1) {
        const bytes = new Uint8Array(length);
        bytes[bit >> 3] = 1 << (bit & 7);
        const isPage = bit < pageCount;
        assert.equal(PageBitmap.fromBytes(pageCount, bytes) !== undefined, isPage);
      }
    }),
    { numRuns: 30 },
  );
});

test("bitmapBytes is whole words with a bit for each page", () => {
  assert.deepEqual([1, 31, 32, 33, 64, 2 ** 20].map(bitmapBytes), [4, 4, 4, 8, 8, 131072]);
});

test("PageBitmap shows its words, and takes others for them", () => {
  fc.assert(
    fc.property(somePages, ([pageCount, pages]) => {
      const bitmap = bitmapOf(pageCount, pages);
      const seen: number[] = [];
      bitmap.words.forEach((word, at) => {
        for (let bit = 0; bit < 32; bit += 1)
          if (((word >>> bit) & 1) === 1) seen.push(at * 32 + bit);
      });
      assert.deepEqual(seen, ascending(pages));
    }),
  );
});

test("PageBitmap sets the entries of its pages in a table, and no others", () => {
  // Stretches, so that whole words are full or empty as well.
  const stretches = fc.array(fc.tuple(fc.nat(90), fc.boolean()), { minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(stretches, (runs) => {
      const wanted = runs.flatMap(([length, isIn]) => Array<boolean>(length).fill(isIn));
      const bitmap = PageBitmap.empty(wanted.length);
      wanted.forEach((isIn, page) => {
        if (isIn) bitmap.add(page);
      });
      const table = new Int32Array(wanted.length).fill(7);
      bitmap.setInTable(table, 9);
      assert.deepEqual(
        [...table],
        wanted.map((isIn) => (isIn ? 9 : 7)),
      );
    }),
  );
});

test("AtomicPageBitmap claims and takes each page once", () => {
  fc.assert(
    fc.property(somePages, ([pageCount, claimed, taken]) => {
      const bitmap = atomicOf(pageCount, []);
      const set = new Set<number>();
      for (const page of claimed) {
        assert.equal(bitmap.claim(page), !set.has(page));
        set.add(page);
      }
      for (const page of taken) assert.equal(bitmap.take(page), set.delete(page));
      assert.deepEqual(pagesOf(bitmap), ascending(set));
      assert.equal(bitmap.count(), set.size);
    }),
  );
});

test("AtomicPageBitmap adds and finds whole ranges", () => {
  fc.assert(
    fc.property(
      fc.nat(200),
      fc.nat(200),
      fc.nat(200),
      fc.nat(200),
      (first, count, from, length) => {
        const bitmap = atomicOf(400, []);
        bitmap.addRange({ firstPage: first, pageCount: count });
        const range = Array.from({ length: count }, (_, index) => first + index);
        assert.deepEqual(pagesOf(bitmap), range);
        const meets = range.some((page) => page >= from && page < from + length);
        assert.equal(bitmap.hasAny({ firstPage: from, pageCount: length }), meets);
      },
    ),
  );
});

test("AtomicPageBitmap finds the first page of a range that it lacks", () => {
  // Nearly all pages are there, so that whole words are.
  const lacking = fc.array(fc.nat(399), { maxLength: 4 });
  fc.assert(
    fc.property(lacking, fc.nat(400), fc.nat(400), (without, a, b) => {
      const [first, end] = [Math.min(a, b), Math.max(a, b)];
      const all = Array.from({ length: 400 }, (_, page) => page);
      const bitmap = atomicOf(
        400,
        all.filter((page) => !without.includes(page)),
      );
      const found = all.slice(first, end).find((page) => without.includes(page));
      assert.equal(bitmap.firstMissing(first, end), found ?? end);
    }),
  );
});

test("AtomicPageBitmap subtracts another set and says whether the two cover every page", () => {
  fc.assert(
    fc.property(somePages, fc.boolean(), ([pageCount, ours, theirs], fillUp) => {
      const all = Array.from({ length: pageCount }, (_, page) => page);
      const had = fillUp ? all.filter((page) => !theirs.includes(page)).concat(ours) : ours;
      const bitmap = atomicOf(pageCount, had);
      const covered = all.every((page) => had.includes(page) || theirs.includes(page));
      assert.equal(bitmap.subtract(bitmapOf(pageCount, theirs)), covered);
      assert.deepEqual(
        pagesOf(bitmap),
        ascending(had).filter((page) => !theirs.includes(page)),
      );
    }),
  );
});

test("AtomicPageBitmap takes the pages it holds out of another set, less the excepted ones", () => {
  fc.assert(
    fc.property(somePages, fc.array(fc.nat(199)), ([pageCount, ours, theirs], excepted) => {
      const bitmap = atomicOf(pageCount, ours);
      const other = bitmapOf(pageCount, theirs);
      const except = excepted.filter((page) => page < pageCount);
      const taken = bitmap.takeFrom(other, atomicOf(pageCount, except));
      const expected = ascending(theirs).filter((it) => ours.includes(it) && !except.includes(it));
      assert.deepEqual(taken, expected);
      assert.deepEqual(
        [...other.pages()],
        ascending(theirs).filter((page) => !expected.includes(page)),
      );
      assert.deepEqual(pagesOf(bitmap), ascending(ours));

      assert.deepEqual(
        bitmap.takeFrom(other),
        ascending(theirs).filter((it) => except.includes(it) && ours.includes(it)),
      );
    }),
  );
});

test("AtomicPageBitmap adds itself to another set, and becomes the complement of one", () => {
  fc.assert(
    fc.property(somePages, ([pageCount, ours, theirs]) => {
      const other = bitmapOf(pageCount, theirs);
      const bitmap = atomicOf(pageCount, ours);
      bitmap.addTo(other);
      assert.deepEqual([...other.pages()], ascending([...ours, ...theirs]));
      bitmap.setComplement(other);
      for (let page = 0; page < pageCount; page += 1) {
        assert.equal(bitmap.has(page), !other.has(page));
      }
    }),
  );
});

test("AtomicPageBitmap keeps to its place in a buffer", () => {
  const buffer = new SharedArrayBuffer(16);
  const bitmap = new AtomicPageBitmap(32, buffer, 8);
  bitmap.addRange({ firstPage: 0, pageCount: 32 });
  assert.deepEqual([...new Int32Array(buffer)], [0, 0, -1, 0]);
});

test("addAll adds every page, and none beyond the last", () => {
  for (const pageCount of [1, 31, 32, 33, 200]) {
    const bitmap = bitmapOf(pageCount, [0]);
    bitmap.addAll();
    assert.deepEqual([...bitmap.pages()], [...Array(pageCount).keys()]);
    assert.ok(PageBitmap.fromBytes(pageCount, bitmap.toBytes()) !== undefined);
  }
});

test("assign leaves an atomic bitmap with the pages of the other, whatever it had", () => {
  fc.assert(
    fc.property(somePages, ([pageCount, pages, before]) => {
      const bitmap = atomicOf(pageCount, before);
      bitmap.assign(bitmapOf(pageCount, pages));
      const found = PageBitmap.empty(pageCount);
      bitmap.addTo(found);
      assert.deepEqual([...found.pages()], ascending(pages));
    }),
  );
});

test("AtomicPageBitmap claims the next wanted pages from any page on, as a naive search does", () => {
  fc.assert(
    fc.property(somePages, fc.nat(199), fc.integer({ min: 1, max: 200 }), (some, from, most) => {
      const [pageCount, wanted, claimed] = some;
      const firstPage = from % pageCount;
      const bitmap = atomicOf(pageCount, claimed);
      const expected = ascending(wanted)
        .filter((page) => page >= firstPage && !claimed.includes(page))
        .slice(0, most);
      assert.deepEqual(bitmap.claimFrom(atomicOf(pageCount, wanted), firstPage, most), expected);
      for (let page = 0; page < pageCount; page += 1) {
        assert.equal(bitmap.has(page), claimed.includes(page) || expected.includes(page));
      }
    }),
  );
});

test("AtomicPageBitmap claims the other pages of a word of which another thread took some just then", (context) => {
  const wanted = AtomicPageBitmap.create(40);
  wanted.bitmap.addRange({ firstPage: 2, pageCount: 5 });
  const { bitmap, buffer } = AtomicPageBitmap.create(40);
  const others = new AtomicPageBitmap(40, buffer);
  const or = context.mock.method(Atomics, "or", () => {
    or.mock.restore();
    return others.claim(2) ? Atomics.or(new Int32Array(buffer), 0, 1 << 2) : Number.NaN;
  });
  assert.deepEqual(bitmap.claimFrom(wanted.bitmap, 0, 1), [3]);
});
