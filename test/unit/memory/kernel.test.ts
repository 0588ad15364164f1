import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { PAGE_BYTES } from "../../../src/memory/geometry.js";
import { createPageKernel, type PageKernel } from "../../../src/memory/kernel.js";
import { GuestRam } from "../../../src/memory/ram.js";
import { BLOCK_BYTES, BLOCKS_PER_PAGE } from "../../../src/protocol/deltas.js";
import { randomNumbers } from "../../random.js";
import { seed } from "../../seed.js";

const RAM_BYTES = 128 * 1024;
const PAGES = RAM_BYTES / PAGE_BYTES;

function createGuest(ramBytes = RAM_BYTES) {
  const ram = GuestRam.allocate(ramBytes, 1);
  const bytes = new Uint8Array(ram.buffer);
  return {
    ram,
    kernel: createPageKernel(ram.handle.memory),
    bytes,
    pageBytes: (page: number) => bytes.subarray(page * PAGE_BYTES, (page + 1) * PAGE_BYTES),
  };
}

function checksum(kernel: PageKernel, page: number): bigint {
  const low = kernel.checksumPage(page * PAGE_BYTES);
  return (
    (BigInt.asUintN(32, BigInt(kernel.checksumHigh())) << 32n) | BigInt.asUintN(32, BigInt(low))
  );
}

const wrap = (value: bigint) => BigInt.asUintN(64, value);
const rotate = (value: bigint, by: bigint) => wrap((value << by) | (wrap(value) >> (64n - by)));

/** The naive oracle: the same sums in big integers, word after word. */
function oracle(bytes: Uint8Array): bigint {
  const [p1, p2, p3] = [0x9e3779b185ebca87n, 0xc2b2ae3d27d4eb4fn, 0x165667b19e3779f9n];
  const view = new DataView(bytes.slice().buffer);
  const sums = [p1, p1, p2, p2, p3, p3, wrap(-p1), wrap(-p1)];
  const keys = [0x1c3a5b97, 0x6f09d2e3, 0xb54e871d, 0xd8216fa9];
  const otherKeys = [0x93d765dd, 0x2e4b1a6f, 0xf1c8093b, 0x47ae5d15];
  const steps = [0x9e3779b1, 0x85ebca77, 0xc2b2ae3d, 0x27d4eb2f];
  const add = (sum: number, value: bigint) => (sums[sum] = wrap((sums[sum] ?? 0n) + value));
  for (let at = 0; at < PAGE_BYTES; at += 32) {
    // The first 32 bytes of 64 go to sums 0 to 3, the others to sums 4 to 7.
    const base = at % 64 === 0 ? 0 : 4;
    for (let lane = 0; lane < 4; lane += 1) {
      const word = BigInt((view.getUint32(at + lane * 4, true) ^ (keys[lane] ?? 0)) >>> 0);
      const other = view.getUint32(at + 16 + lane * 4, true) ^ (otherKeys[lane] ?? 0);
      add(base + lane, word * BigInt(other >>> 0));
    }
    for (const half of [0, 1]) {
      add(base + half, view.getBigUint64(at + 16 + half * 8, true));
      add(base + 2 + half, view.getBigUint64(at + half * 8, true));
    }
    if (base === 0) continue;
    steps.forEach((step, lane) => {
      keys[lane] = ((keys[lane] ?? 0) + step) >>> 0;
      otherKeys[lane] = ((otherKeys[lane] ?? 0) - step) >>> 0;
    });
  }
  let hash = p3;
  sums.forEach((sum, at) => {
    hash =
      at % 2 === 0 ? rotate(wrap((hash ^ sum) * p2), 31n) : rotate(wrap((hash ^ sum) * p1), 29n);
  });
  hash = wrap((hash ^ (hash >> 33n)) * p2);
  hash = wrap((hash ^ (hash >> 29n)) * p3);
  return hash ^ (hash >> 32n);
}

function fillRandomly(bytes: Uint8Array, ownSeed: number): void {
  const random = randomNumbers(ownSeed);
  for (let at = 0; at < bytes.length; at += 1) bytes[at] = random(256);
}

test("checksumPage gives for known pages what it always gave", () => {
  const { kernel, pageBytes } = createGuest();
  assert.equal(checksum(kernel, 0).toString(16), "46da0db0ea517d6d");
  pageBytes(1).forEach((_, at, page) => (page[at] = at * 31 + 7));
  assert.equal(checksum(kernel, 1).toString(16), "b707a1a9ef6f1d68");
  pageBytes(2).fill(0xff);
  assert.equal(checksum(kernel, 2).toString(16), "312ab5841d018cd3");
});

test("checksumPage agrees with the oracle on any page", () => {
  const { kernel, pageBytes } = createGuest();
  fc.assert(
    fc.property(fc.nat(PAGES - 1), fc.integer(), (page, contents) => {
      fillRandomly(pageBytes(page), contents);
      assert.equal(checksum(kernel, page), oracle(pageBytes(page)));
    }),
    { numRuns: 50 },
  );
});

test("checksumPage differs after any single bit of the page has flipped", () => {
  const { kernel, pageBytes } = createGuest();
  for (const contents of ["zero", "random"]) {
    const page = pageBytes(3);
    if (contents === "random") fillRandomly(page, seed);
    const before = checksum(kernel, 3);
    for (let bit = 0; bit < PAGE_BYTES * 8; bit += 1) {
      const at = bit >> 3;
      const byte = page[at]!;
      page[at] = byte ^ (1 << (bit & 7));
      if (checksum(kernel, 3) === before) assert.fail(`bit ${String(bit)} of a ${contents} page`);
      page[at] = byte;
    }
    assert.equal(checksum(kernel, 3), before);
  }
});

test("checksumPage differs after words of the page have changed places", () => {
  const { kernel, ram, pageBytes } = createGuest();
  fillRandomly(pageBytes(0), seed);
  const words = new BigUint64Array(ram.buffer, 0, PAGE_BYTES / 8);
  const before = checksum(kernel, 0);
  for (let word = 1; word < words.length; word += 1) {
    const [first, other] = [words[0]!, words[word]!];
    words.set([other], 0);
    words.set([first], word);
    assert.notEqual(checksum(kernel, 0), before, `word ${String(word)}`);
    words.set([first], 0);
    words.set([other], word);
  }
});

test("checksumPage depends on the page alone, not on its place or its neighbours", () => {
  const { kernel, bytes, pageBytes } = createGuest();
  fillRandomly(pageBytes(0), seed);
  const contents = pageBytes(0).slice();
  const before = checksum(kernel, 0);
  for (let page = 0; page < PAGES; page += 1) {
    bytes.fill(page);
    pageBytes(page).set(contents);
    assert.equal(checksum(kernel, page), before);
  }
});

test("zeroPages notices a single byte that is not zero, wherever it stands", () => {
  const { kernel, pageBytes } = createGuest();
  const page = pageBytes(2);
  const address = 2 * PAGE_BYTES;
  assert.equal(kernel.zeroPages(address, 1), 1);
  for (let at = 0; at < PAGE_BYTES; at += 1) {
    for (const byte of [0x01, 0x80]) {
      page[at] = byte;
      assert.equal(kernel.zeroPages(address, 1), 0, `byte ${String(at)}`);
    }
    page[at] = 0;
  }
  assert.equal(kernel.zeroPages(address, 1), 1);
});

test("zeroPages does not look at the pages beside", () => {
  const { kernel, bytes, pageBytes } = createGuest();
  for (let page = 0; page < PAGES; page += 1) {
    bytes.fill(0xff);
    pageBytes(page).fill(0);
    for (let other = 0; other < PAGES; other += 1) {
      assert.equal(kernel.zeroPages(other * PAGE_BYTES, 1), other === page ? 1 : 0);
    }
  }
});

test("zeroPages counts pages until the first that is not zero, and no more than it may", () => {
  const { kernel, bytes, pageBytes } = createGuest();
  for (let full = 0; full < PAGES; full += 1) {
    bytes.fill(0);
    pageBytes(full)[PAGE_BYTES - 1] = 1;
    for (let first = 0; first < PAGES; first += 1) {
      for (let most = 0; most <= PAGES - first; most += 1) {
        const zeroes = first > full ? most : Math.min(most, full - first);
        assert.equal(kernel.zeroPages(first * PAGE_BYTES, most), zeroes);
      }
    }
  }
});

test("the page kernel reaches the last page of 4 GiB", (t) => {
  let guest;
  try {
    guest = createGuest(4 * 2 ** 30);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    t.skip("this machine does not give 4 GiB of address space");
    return;
  }
  const { ram, kernel, pageBytes } = guest;
  const last = ram.pageCount - 1;
  assert.equal(kernel.zeroPages((last - 3) * PAGE_BYTES, 4), 4);
  fillRandomly(pageBytes(last), seed);
  assert.equal(kernel.zeroPages((last - 3) * PAGE_BYTES, 4), 3);
  assert.equal(checksum(kernel, last), oracle(pageBytes(last)));
});

test("the page kernel writes nothing to memory", () => {
  const { kernel, bytes } = createGuest();
  const digest = () => createHash("sha256").update(bytes).digest("hex");
  for (const contents of ["zero", "random"]) {
    if (contents === "random") fillRandomly(bytes, seed);
    const before = digest();
    for (let page = 0; page < PAGES; page += 1) {
      kernel.zeroPages(page * PAGE_BYTES, 1);
      checksum(kernel, page);
    }
    assert.equal(digest(), before);
  }
});

test("two page kernels of one memory do not mix up the halves of their checksums", () => {
  const { ram, kernel, pageBytes } = createGuest();
  const other = createPageKernel(ram.handle.memory);
  fillRandomly(pageBytes(0), seed);
  fillRandomly(pageBytes(1), seed + 1);
  const expected = checksum(kernel, 0) >> 32n;
  kernel.checksumPage(0);
  other.checksumPage(PAGE_BYTES);
  assert.equal(BigInt.asUintN(32, BigInt(kernel.checksumHigh())), expected);
});

test("of a page of which some bytes change, the sums of those blocks change and no others", () => {
  const { kernel, pageBytes } = createGuest();
  const bytes = pageBytes(1);
  const random = randomNumbers(seed);
  const sums = () => {
    checksum(kernel, 1);
    const pairs = Array.from({ length: BLOCKS_PER_PAGE / 2 }, (_, pair) => kernel.blockSums(pair));
    assert.ok(!pairs.some(Number.isNaN), "an engine may change the bits of a sum");
    return [...new Int32Array(new Float64Array(pairs).buffer)];
  };
  const flips = fc.uniqueArray(fc.nat(PAGE_BYTES - 1), { minLength: 1, maxLength: 3 });
  fc.assert(
    fc.property(flips, fc.integer({ min: 1, max: 255 }), (places, flip) => {
      for (let at = 0; at < PAGE_BYTES; at += 1) bytes[at] = random(256);
      const before = sums();
      for (const at of places) bytes[at]! ^= flip;
      const changed = sums().flatMap((sum, block) => (sum === before[block] ? [] : [block]));
      const expected = new Set(places.map((at) => Math.floor(at / BLOCK_BYTES)));
      assert.deepEqual(
        changed,
        [...expected].sort((one, other) => one - other),
      );
    }),
  );
});
