import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type FailureCode, failureOf } from "../../src/failure.js";
import { FrameDecoder, HEADER_BYTES } from "../../src/protocol/frame.js";
import { MAX_DATA_PAGES, MAX_RUNS, MAX_TORN_PAGES } from "../../src/protocol/limits.js";
import {
  decodeWords,
  encodeWords,
  FRAME_TYPES,
  MAX_PAGES_FRAME_BYTES,
  PAGES_HEAD_BYTES,
  PageTable,
  PURPOSE,
  type Purpose,
  readChecksums,
  readPagesHead,
  readRuns,
  RUN_KIND,
  type RunKind,
} from "../../src/protocol/pages.js";
import { failsWith } from "../failures.js";
import "../seed.js";
import { cutAt, cuts } from "./chunks.js";

const PAGE_COUNT = 4096;
const KIND_NAMES = ["DATA", "ZERO", "UNCHANGED"] as const;

/** One page as a frame tells of it. */
interface Entry {
  readonly page: number;
  readonly kind: (typeof KIND_NAMES)[number];
  /** 16 hexadecimal digits, as on the wire; empty for a zero page. */
  readonly checksum: string;
}

/** A page with its two checksum words, as the sender adds it. */
interface Added {
  readonly page: number;
  readonly kind: RunKind;
  readonly low: number;
  readonly high: number;
}

const word = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
const kind = fc.constantFrom(...Object.values(RUN_KIND));
const purpose = fc.constantFrom(...Object.values(PURPOSE));

/** Pages in stretches, so that runs of every length come up. */
const pages: fc.Arbitrary<Added[]> = fc
  .array(fc.tuple(fc.nat(PAGE_COUNT - 33), fc.integer({ min: 1, max: 32 }), kind, word, word), {
    minLength: 1,
    maxLength: 20,
  })
  .map((stretches) =>
    stretches.flatMap(([first, length, kind, low, high]) =>
      Array.from({ length }, (_, index) => ({ page: first + index, kind, low: low ^ index, high })),
    ),
  );

/** Adds as many of `all` as there is room for; returns those. */
function fill(table: PageTable, all: readonly Added[]): Added[] {
  const added: Added[] = [];
  for (const it of all) {
    if (!table.hasRoom) break;
    table.add(it.page, it.kind, it.low, it.high);
    added.push(it);
  }
  return added;
}

/** A whole frame: the table, and pages full of 0xaa. */
function frameOf(table: PageTable, reason: Purpose = PURPOSE.PASS, pass = 1, sequence = 0): Buffer {
  const contents = Buffer.alloc(table.dataPages * 4096, 0xaa);
  return Buffer.concat([table.bytes(reason, pass, sequence), contents]);
}

function entryOf({ page, kind, low, high }: Added): Entry {
  const checksum = Buffer.alloc(8);
  checksum.writeInt32LE(low, 0);
  checksum.writeInt32LE(high, 4);
  const isZero = kind === RUN_KIND.ZERO;
  return { page, kind: KIND_NAMES[kind], checksum: isZero ? "" : checksum.toString("hex") };
}

/** What the readers of pages.ts make of the body of a frame. */
function read(body: Uint8Array, pageCount = PAGE_COUNT): readonly Entry[] | FailureCode {
  try {
    const head = readPagesHead(body, body.byteLength);
    const table = body.subarray(PAGES_HEAD_BYTES, PAGES_HEAD_BYTES + head.tableBytes);
    const runs = readRuns(table, head, pageCount);
    const checksums = new Int32Array(MAX_DATA_PAGES * 2);
    readChecksums(table, head, checksums);
    let next = 0;
    return runs.flatMap(({ firstPage, pageCount: count, kind }) =>
      Array.from({ length: count }, (_, index) => {
        const [low = 0, high = 0] =
          kind === RUN_KIND.ZERO ? [] : checksums.subarray(next, next + 2);
        if (kind !== RUN_KIND.ZERO) next += 2;
        return entryOf({ page: firstPage + index, kind, low, high });
      }),
    );
  } catch (error) {
    return failureOf(error).code;
  }
}

/** The naive oracle: the layout of the protocol document read from text, page by page. */
function oracle(body: Uint8Array, pageCount = PAGE_COUNT): readonly Entry[] | FailureCode {
  const text = Buffer.from(body).toString("hex");
  const number = (at: number) => {
    const [a = "", b = "", c = "", d = ""] = text.slice(at * 2, at * 2 + 8).match(/../g) ?? [];
    return Number(`0x${d}${c}${b}${a}`);
  };
  const [runs, dataPages, unchangedPages] = [number(0), number(4), number(8)];
  const bytes = 16 + runs * 12 + (dataPages + unchangedPages) * 8 + dataPages * 4096;
  if (runs < 1 || runs > 512 || dataPages + unchangedPages > 256 || bytes !== body.byteLength) {
    return "FRAME_MALFORMED";
  }
  const entries: Entry[] = [];
  let described = 0;
  for (let run = 0; run < runs; run += 1) {
    const [first, count, kind] = [0, 4, 8].map((field) => number(16 + run * 12 + field));
    const name = KIND_NAMES[kind!];
    described += count!;
    if (name === undefined || count === 0) return "FRAME_MALFORMED";
    if (first! + count! > pageCount) return "PAGE_OUT_OF_RANGE";
    if (described > 2 ** 20) return "FRAME_MALFORMED";
    for (let page = first!; page < first! + count!; page += 1) {
      const at = 16 + runs * 12 + entries.filter((it) => it.kind !== "ZERO").length * 8;
      const checksum = name === "ZERO" ? "" : text.slice(at * 2, at * 2 + 16);
      entries.push({ page, kind: name, checksum });
    }
  }
  const countOf = (name: string) => entries.filter((it) => it.kind === name).length;
  const agrees = countOf("DATA") === dataPages && countOf("UNCHANGED") === unchangedPages;
  return agrees ? entries : "FRAME_MALFORMED";
}

test("PageTable tells of exactly the pages that were added, in their order", () => {
  fc.assert(
    fc.property(pages, purpose, fc.nat(), (all, reason, pass) => {
      const table = new PageTable();
      const added = fill(table, all);
      const frame = frameOf(table, reason, pass, 7);
      const body = frame.subarray(HEADER_BYTES);
      const entries = added.map(entryOf);
      assert.deepEqual(read(body), entries);
      assert.deepEqual(oracle(body), entries);
      assert.equal(readPagesHead(body, body.byteLength).pass, pass);
      assert.equal(frame[4], FRAME_TYPES.PAGES);
      assert.equal(frame[5], reason);
      assert.equal(frame.readUInt32LE(8), 7);
      assert.equal(frame.readUInt32LE(12), body.byteLength);
    }),
  );
});

const runsOf = (table: PageTable) =>
  Array.from({ length: table.runCount }, (_, run) => {
    const [firstPage, pageCount] = [table.firstPageOf(run), table.pageCountOf(run)];
    return { firstPage, pageCount, kind: table.kindOf(run) };
  });

test("PageTable joins neighbours of one kind, and only those", () => {
  const table = new PageTable();
  for (const page of [5, 6, 7]) table.add(page, RUN_KIND.DATA);
  table.add(8, RUN_KIND.ZERO);
  table.add(9, RUN_KIND.DATA);
  table.add(9, RUN_KIND.DATA);
  table.add(8, RUN_KIND.DATA);
  assert.deepEqual(
    runsOf(table).map(({ firstPage, pageCount }) => [firstPage, pageCount]),
    [
      [5, 3],
      [8, 1],
      [9, 1],
      [9, 1],
      [8, 1],
    ],
  );
});

test("PageTable keeps its runs as they are read again", () => {
  fc.assert(
    fc.property(pages, (all) => {
      const table = new PageTable();
      fill(table, all);
      const body = frameOf(table).subarray(HEADER_BYTES);
      const head = readPagesHead(body, body.byteLength);
      const runs = readRuns(body.subarray(PAGES_HEAD_BYTES), head, PAGE_COUNT);
      assert.deepEqual(runs, runsOf(table));
      assert.equal(head.dataPages, table.dataPages);
      assert.equal(head.unchangedPages, table.unchangedPages);
    }),
  );
});

test("PageTable forgets everything at a reset, and what it gave away stays as it was", () => {
  fc.assert(
    fc.property(pages, pages, (first, second) => {
      const table = new PageTable();
      assert.equal(table.isEmpty, true);
      fill(table, first);
      assert.equal(table.isEmpty, false);
      const before = table.bytes(PURPOSE.PULL, 0, 1);
      const copy = before.slice();
      table.reset();
      assert.equal(table.isEmpty, true);
      fill(table, second);
      const fresh = new PageTable();
      fill(fresh, second);
      assert.deepEqual(table.bytes(PURPOSE.PUSH, 3, 2), fresh.bytes(PURPOSE.PUSH, 3, 2));
      assert.deepEqual(before, copy);
    }),
  );
});

test("PageTable has room for MAX_DATA_PAGES pages with a checksum and not for one more", () => {
  const table = new PageTable();
  for (let page = 0; page < MAX_DATA_PAGES; page += 1) {
    assert.equal(table.hasRoom, true);
    table.add(page, page % 3 === 0 ? RUN_KIND.UNCHANGED : RUN_KIND.DATA);
  }
  assert.equal(table.hasRoom, false);
  assert.equal(read(frameOf(table).subarray(HEADER_BYTES)).length, MAX_DATA_PAGES);
});

test("PageTable has room for MAX_RUNS runs and not for one more", () => {
  const table = new PageTable();
  for (let run = 0; run < MAX_RUNS; run += 1) {
    assert.equal(table.hasRoom, true);
    table.add(run * 2, RUN_KIND.ZERO);
  }
  assert.equal(table.hasRoom, false);
  assert.equal(read(frameOf(table).subarray(HEADER_BYTES)).length, MAX_RUNS);
});

test("a page frame arrives whole from a stream cut anywhere", () => {
  fc.assert(
    fc.property(pages, cuts, (all, places) => {
      const table = new PageTable();
      const added = fill(table, all);
      const decoder = new FrameDecoder(MAX_PAGES_FRAME_BYTES);
      const frames = [];
      for (const chunk of cutAt(frameOf(table), places)) frames.push(...decoder.push(chunk));
      assert.equal(frames.length, 1);
      assert.deepEqual(read(frames[0]!.body), added.map(entryOf));
    }),
    { numRuns: 50 },
  );
});

test("a page table with wrong words is read as the oracle reads it, or refused as there", () => {
  // Small numbers are the ones that nearly make sense.
  const value = fc.oneof(fc.nat(4), fc.nat(600), fc.nat(2 ** 32 - 1), fc.constant(PAGE_COUNT));
  const damage = fc.array(fc.tuple(fc.nat(), value), { minLength: 1, maxLength: 3 });
  fc.assert(
    fc.property(pages, damage, (all, wrong) => {
      const table = new PageTable();
      fill(table, all.slice(0, 8));
      const body = Buffer.from(frameOf(table).subarray(HEADER_BYTES));
      const words = (body.byteLength - table.dataPages * 4096) / 4;
      for (const [at, number] of wrong) body.writeUInt32LE(number, (at % words) * 4);
      assert.deepEqual(read(body), oracle(body));
    }),
    { numRuns: 1000 },
  );
});

test("a page table of small random numbers is read as the oracle reads it, or refused as there", () => {
  const head = fc.tuple(fc.nat(4), fc.nat(1), fc.nat(2), fc.nat());
  fc.assert(
    fc.property(head, fc.infiniteStream(fc.nat(6)), ([runs, data, unchanged, pass], numbers) => {
      const words = [runs, data, unchanged, pass];
      for (const number of numbers) {
        if (words.length >= 4 + runs * 3) break;
        words.push(number);
      }
      const tail = Buffer.alloc((data + unchanged) * 8 + data * 4096);
      const body = Buffer.concat([new Uint8Array(Uint32Array.from(words).buffer), tail]);
      assert.deepEqual(read(body, 8), oracle(body, 8));
    }),
    { numRuns: 2000 },
  );
});

test("a page frame of random bytes is refused", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: PAGES_HEAD_BYTES, maxLength: 200 }), (body) => {
      assert.deepEqual(read(body), oracle(body));
    }),
  );
});

test("a page frame of any other length than its table adds up to is refused", () => {
  const table = new PageTable();
  table.add(1, RUN_KIND.DATA, 1, 2);
  table.add(2, RUN_KIND.ZERO);
  table.add(3, RUN_KIND.UNCHANGED, 3, 4);
  const body = frameOf(table).subarray(HEADER_BYTES);
  for (let bytes = 0; bytes <= body.byteLength + 1; bytes += 1) {
    if (bytes === body.byteLength) continue;
    failsWith("FRAME_MALFORMED", () => readPagesHead(body, bytes));
  }
});

test("a run that ends behind the last page is refused, and one that ends with it is not", () => {
  const table = new PageTable();
  for (let page = 10; page < 20; page += 1) table.add(page, RUN_KIND.ZERO);
  const body = frameOf(table).subarray(HEADER_BYTES);
  const head = readPagesHead(body, body.byteLength);
  const runs = body.subarray(PAGES_HEAD_BYTES);
  assert.equal(readRuns(runs, head, 20).length, 1);
  const failure = failsWith("PAGE_OUT_OF_RANGE", () => readRuns(runs, head, 19));
  assert.deepEqual(failure, { code: "PAGE_OUT_OF_RANGE", pageIndex: 19, pageCount: 19 });
});

test("the numbers of a frame come back as they were sent", () => {
  const words = fc.array(fc.nat(2 ** 32 - 1), { minLength: 1, maxLength: MAX_TORN_PAGES });
  fc.assert(
    fc.property(words, (numbers) => {
      const frame = encodeWords(FRAME_TYPES.TORN, 0, numbers);
      const [decoded] = new FrameDecoder(MAX_TORN_PAGES * 4).push(frame);
      assert.equal(decoded?.type, FRAME_TYPES.TORN);
      assert.deepEqual(decodeWords("torn", decoded, 1, MAX_TORN_PAGES), numbers);
    }),
  );
});

test("a frame with flags, or with too few, too many or broken numbers, is refused", () => {
  for (let bytes = 0; bytes <= 24; bytes += 1) {
    const body = new Uint8Array(bytes);
    const attempt = () => decodeWords("request", { flags: 0, body }, 2, 4);
    if (bytes % 4 === 0 && bytes >= 8 && bytes <= 16) assert.equal(attempt().length, bytes / 4);
    else assert.equal(failsWith("FRAME_MALFORMED", attempt).frame, "request");
  }
  for (let flags = 1; flags <= 0xff; flags += 1) {
    const body = new Uint8Array(8);
    failsWith("FRAME_MALFORMED", () => decodeWords("request", { flags, body }, 2, 4));
  }
});
