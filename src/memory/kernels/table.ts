/**
 * Table kernels, in AssemblyScript, on the tables of a guest (ram.ts) themselves: a word for each page, and sets with a
 * bit for each, the first page by the lowest bit. They go over 16 pages at a time, since mostly a guest stands still
 * meanwhile; how many pages there are is a multiple of that. They import the tables and own no byte of them.
 */

const PAGES_AT_ONCE: usize = 16;

/** Bits of 16 pages, from `page` on. */
function bitsAt(set: usize, page: usize): usize {
  return set + (page >> 3);
}

function wordsAt(table: usize, page: usize): usize {
  return table + (page << 2);
}

/** All ones in each lane whose word of `a` is not below that of `b`. */
function notBelow(a: usize, b: usize): v128 {
  return i32x4.ge_s(v128.load(a), v128.load(b));
}

/** Adds to `set` the pages whose word in `stamps` is not below that in `marks`. */
export function addWritten(stamps: usize, marks: usize, set: usize, pageCount: usize): void {
  for (let page: usize = 0; page < pageCount; page += PAGES_AT_ONCE) {
    const stamp = wordsAt(stamps, page);
    const mark = wordsAt(marks, page);
    const first = i16x8.narrow_i32x4_s(notBelow(stamp, mark), notBelow(stamp + 16, mark + 16));
    const last = i16x8.narrow_i32x4_s(
      notBelow(stamp + 32, mark + 32),
      notBelow(stamp + 48, mark + 48),
    );
    const written = i8x16.bitmask(i8x16.narrow_i16x8_s(first, last));
    const at = bitsAt(set, page);
    store<u16>(at, load<u16>(at) | (<u16>written));
  }
}

/** Writes `value` to those of four words from `at` on of which `bits` has the lane's bit of `lanes`. */
function setFour(at: usize, bits: v128, lanes: v128, value: v128): void {
  const isKept = i32x4.eq(v128.and(bits, lanes), i32x4.splat(0));
  v128.store(at, v128.bitselect(v128.load(at), value, isKept));
}

/** Writes `value` to the word in `table` of each page of `set`. Nobody else writes to the table meanwhile. */
export function setWords(table: usize, set: usize, pageCount: usize, value: i32): void {
  const values = i32x4.splat(value);
  for (let page: usize = 0; page < pageCount; page += PAGES_AT_ONCE) {
    const bits = <i32>load<u16>(bitsAt(set, page));
    if (bits == 0) continue;
    const all = i32x4.splat(bits);
    const at = wordsAt(table, page);
    setFour(at, all, i32x4(1 << 0, 1 << 1, 1 << 2, 1 << 3), values);
    setFour(at + 16, all, i32x4(1 << 4, 1 << 5, 1 << 6, 1 << 7), values);
    setFour(at + 32, all, i32x4(1 << 8, 1 << 9, 1 << 10, 1 << 11), values);
    setFour(at + 48, all, i32x4(1 << 12, 1 << 13, 1 << 14, 1 << 15), values);
  }
}
