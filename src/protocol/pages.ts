import { type Frame, type FrameHeader, HEADER_BYTES, malformed, writeHeader } from "./frame.js";
import { MigrationError } from "../failure.js";
import { MAX_DATA_PAGES, MAX_DESCRIBED_PAGES, MAX_RUNS } from "./limits.js";

/**
 * Frames of the data connections. They are binary, because page bytes go between socket and guest memory
 * without a copy. All numbers are 32-bit little-endian unless said otherwise.
 *
 * | frame | sender | body |
 * |---|---|---|
 * | `PAGES` | source | table, then pages: see below |
 * | `DELTAS` | source | table, then blocks of pages: see Deltas |
 * | `BARRIER` | source | pass |
 * | `REQUEST` | dest | page, again (0 or 1), vCPU, prepulled pages that it has touched |
 * | `BARRIER_PASSED` | dest | pass |
 * | `TORN` | dest | pages that failed their checksum, 1 to 256 of them |
 * | `ATTACHED` | dest | empty; answers `attach`: the connection has been given to whom it is for |
 * | `CREDIT` | dest | bytes of page frames taken in since the last credit (not of the urgent connection) |
 *
 * A `PAGES` frame:
 *
 *     run count, data pages, unchanged pages, pass       16 bytes
 *     run: first page, page count, kind                  12 bytes each
 *     checksum of each data and unchanged page, 64 bit    8 bytes each, in the order of the runs
 *     contents of each data page                       4096 bytes each, in the order of the runs
 *
 * Its header's flags say why the pages come: see `PURPOSE`.
 *
 * A page that a vCPU waits for is requested on the fault line of that vCPU, which carries nothing else, and comes on the
 * urgent connection. One that came corrupt is requested again on the connection that it came on.
 *
 * Pages that the guest worked on when it stopped are pushed on the urgent connection right behind the switchover, and may
 * overtake it: the destination leaves them unread until it has taken the guest over, for as long as the source waits for
 * `running` at most. On any other connection pages of stage three are an error before it.
 */
export const FRAME_TYPES = {
  PAGES: 0x40,
  BARRIER: 0x41,
  DELTAS: 0x42,
  REQUEST: 0xc0,
  BARRIER_PASSED: 0xc1,
  TORN: 0xc2,
  CREDIT: 0xc3,
  ATTACHED: 0xc4,
} as const;

/** Frames 0 of both directions are spent on `attach` and `ATTACHED`. */
export const FIRST_DATA_SEQUENCE = 1;

/** What brings a page: a pass before the switchover, or push, prepull or pull after it. */
export const PURPOSE = { PASS: 0, PUSH: 1, PREPULL: 2, PULL: 3 } as const;
export type Purpose = (typeof PURPOSE)[keyof typeof PURPOSE];

/** What a run of pages is: contents follow; all zero; as it was sent in stage one. */
export const RUN_KIND = { DATA: 0, ZERO: 1, UNCHANGED: 2 } as const;
export type RunKind = (typeof RUN_KIND)[keyof typeof RUN_KIND];

export const PAGES_HEAD_BYTES = 16;
const RUN_BYTES = 12;
const CHECKSUM_BYTES = 8;
export const MAX_TABLE_BYTES = MAX_RUNS * RUN_BYTES + MAX_DATA_PAGES * CHECKSUM_BYTES;
export const MAX_PAGES_FRAME_BYTES = PAGES_HEAD_BYTES + MAX_TABLE_BYTES + MAX_DATA_PAGES * 4096;

export interface PageRun {
  readonly firstPage: number;
  readonly pageCount: number;
  readonly kind: RunKind;
}

export interface PagesHead {
  readonly runCount: number;
  readonly dataPages: number;
  readonly unchangedPages: number;
  readonly pass: number;
  /** Bytes of runs and checksums. */
  readonly tableBytes: number;
}

/**
 * Builds header and table of one page frame; the contents follow it on the wire. Reused for frame after
 * frame: `bytes()` is a copy, so that the socket may keep it.
 */
export class PageTable {
  dataPages = 0;
  unchangedPages = 0;
  runCount = 0;
  private readonly runs = new Uint32Array(MAX_RUNS * 3);
  private readonly checksums = new Int32Array(MAX_DATA_PAGES * 2);

  reset(): void {
    this.dataPages = 0;
    this.unchangedPages = 0;
    this.runCount = 0;
  }

  get isEmpty(): boolean {
    return this.runCount === 0;
  }

  /** Whether one more page of any kind fits. */
  get hasRoom(): boolean {
    return this.runCount < MAX_RUNS && this.dataPages + this.unchangedPages < MAX_DATA_PAGES;
  }

  /** Adds `page`, of which `low` and `high` are the checksum's halves (no matter for a zero page). */
  add(page: number, kind: RunKind, low = 0, high = 0): void {
    this.extend(page, 1, kind);
    if (kind === RUN_KIND.ZERO) return;
    const at = (this.dataPages + this.unchangedPages) * 2;
    this.checksums[at] = low;
    this.checksums[at + 1] = high;
    if (kind === RUN_KIND.DATA) this.dataPages += 1;
    else this.unchangedPages += 1;
  }

  /** Adds pages that are all zero. */
  addZeroes(firstPage: number, pageCount: number): void {
    this.extend(firstPage, pageCount, RUN_KIND.ZERO);
  }

  private extend(firstPage: number, pageCount: number, kind: RunKind): void {
    const last = (this.runCount - 1) * 3;
    const extendsLast =
      this.runCount > 0 &&
      this.runs[last + 2] === kind &&
      (this.runs[last] ?? 0) + (this.runs[last + 1] ?? 0) === firstPage;
    if (extendsLast) {
      this.runs[last + 1] = (this.runs[last + 1] ?? 0) + pageCount;
    } else {
      this.runs[last + 3] = firstPage;
      this.runs[last + 4] = pageCount;
      this.runs[last + 5] = kind;
      this.runCount += 1;
    }
  }

  firstPageOf(run: number): number {
    return this.runs[run * 3] ?? 0;
  }

  pageCountOf(run: number): number {
    return this.runs[run * 3 + 1] ?? 0;
  }

  kindOf(run: number): RunKind {
    return (this.runs[run * 3 + 2] ?? 0) as RunKind;
  }

  /** Bytes of header, head, runs and checksums. */
  get frontBytes(): number {
    const checksums = this.dataPages + this.unchangedPages;
    return HEADER_BYTES + PAGES_HEAD_BYTES + this.runCount * RUN_BYTES + checksums * CHECKSUM_BYTES;
  }

  /** Header, head, runs and checksums. */
  bytes(purpose: Purpose, pass: number, sequence: number): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(this.frontBytes);
    this.writeTo(new DataView(bytes.buffer), purpose, pass, sequence);
    return bytes;
  }

  /** The same at the start of `view`. */
  writeTo(view: DataView, purpose: Purpose, pass: number, sequence: number): void {
    const { runCount, dataPages, unchangedPages } = this;
    const bodyBytes = this.frontBytes - HEADER_BYTES + dataPages * 4096;
    writeHeader(view, { type: FRAME_TYPES.PAGES, flags: purpose, sequence, bodyBytes });
    view.setUint32(HEADER_BYTES, runCount, true);
    view.setUint32(HEADER_BYTES + 4, dataPages, true);
    view.setUint32(HEADER_BYTES + 8, unchangedPages, true);
    view.setUint32(HEADER_BYTES + 12, pass, true);
    let at = HEADER_BYTES + PAGES_HEAD_BYTES;
    for (let word = 0; word < runCount * 3; word += 1, at += 4) {
      view.setUint32(at, this.runs[word] ?? 0, true);
    }
    for (let word = 0; word < (dataPages + unchangedPages) * 2; word += 1, at += 4) {
      view.setInt32(at, this.checksums[word] ?? 0, true);
    }
  }
}

/** Reads the head of a `PAGES` body of `bodyBytes`. Throws FRAME_MALFORMED where the sums do not agree. */
export function readPagesHead(source: Uint8Array, bodyBytes: number): PagesHead {
  const view = new DataView(source.buffer, source.byteOffset, PAGES_HEAD_BYTES);
  const runCount = view.getUint32(0, true);
  const dataPages = view.getUint32(4, true);
  const unchangedPages = view.getUint32(8, true);
  const pass = view.getUint32(12, true);
  if (runCount === 0 || runCount > MAX_RUNS) {
    throw malformed(
      "pages",
      `it has ${String(runCount)} runs, where 1 to ${String(MAX_RUNS)} may be`,
    );
  }
  if (dataPages + unchangedPages > MAX_DATA_PAGES) {
    throw malformed("pages", `it has more than ${String(MAX_DATA_PAGES)} pages with a checksum`);
  }
  const tableBytes = runCount * RUN_BYTES + (dataPages + unchangedPages) * CHECKSUM_BYTES;
  if (bodyBytes !== PAGES_HEAD_BYTES + tableBytes + dataPages * 4096) {
    throw malformed("pages", "its length is not what its table adds up to");
  }
  return { runCount, dataPages, unchangedPages, pass, tableBytes };
}

/**
 * Reads the runs of a table for a guest of `pageCount` pages. Throws PAGE_OUT_OF_RANGE, or
 * FRAME_MALFORMED where the runs do not agree with the head.
 */
export function readRuns(table: Uint8Array, head: PagesHead, pageCount: number): PageRun[] {
  const view = new DataView(table.buffer, table.byteOffset, table.byteLength);
  const runs: PageRun[] = [];
  const pagesOf = [0, 0, 0];
  let described = 0;
  for (let at = 0; at < head.runCount * RUN_BYTES; at += RUN_BYTES) {
    const firstPage = view.getUint32(at, true);
    const count = view.getUint32(at + 4, true);
    const kind = view.getUint32(at + 8, true);
    if (kind > RUN_KIND.UNCHANGED)
      throw malformed("pages", `a run is of unknown kind ${String(kind)}`);
    if (count === 0) throw malformed("pages", "a run has no pages");
    if (firstPage + count > pageCount) {
      throw new MigrationError({
        code: "PAGE_OUT_OF_RANGE",
        pageIndex: firstPage + count - 1,
        pageCount,
      });
    }
    described += count;
    if (described > MAX_DESCRIBED_PAGES) {
      throw malformed("pages", `it describes more than ${String(MAX_DESCRIBED_PAGES)} pages`);
    }
    pagesOf[kind] = (pagesOf[kind] ?? 0) + count;
    runs.push({ firstPage, pageCount: count, kind: kind as RunKind });
  }
  const [data, , unchanged] = pagesOf;
  if (data !== head.dataPages || unchanged !== head.unchangedPages) {
    throw malformed("pages", "its runs do not add up to the pages that it announces");
  }
  return runs;
}

/** Reads the checksum words of a table (low, high, low, high, …) into `words`, in the order of its runs. */
export function readChecksums(table: Uint8Array, head: PagesHead, words: Int32Array): void {
  const view = new DataView(table.buffer, table.byteOffset, table.byteLength);
  for (let word = 0; word < (head.dataPages + head.unchangedPages) * 2; word += 1) {
    words[word] = view.getInt32(head.runCount * RUN_BYTES + word * 4, true);
  }
}

/** A frame whose body is these 32-bit numbers. */
export function encodeWords(
  type: number,
  sequence: number,
  words: readonly number[],
): Uint8Array<ArrayBuffer> {
  const frame = new Uint8Array(HEADER_BYTES + words.length * 4);
  const view = new DataView(frame.buffer);
  writeHeader(view, { type, flags: 0, sequence, bodyBytes: words.length * 4 });
  words.forEach((word, index) => {
    view.setUint32(HEADER_BYTES + index * 4, word, true);
  });
  return frame;
}

/**
 * Throws FRAME_MALFORMED unless a header is that of such a frame, with `least` to `most` numbers: for who has to make room for
 * the body before it comes.
 */
export function checkWords(
  frame: string,
  { flags, bodyBytes }: Pick<FrameHeader, "flags" | "bodyBytes">,
  least: number,
  most = least,
): void {
  if (flags !== 0) throw malformed(frame, "its flags are set");
  const count = bodyBytes / 4;
  if (!Number.isInteger(count) || count < least || count > most) {
    throw malformed(frame, `its body has ${String(bodyBytes)} bytes`);
  }
}

/** The numbers of such a frame; throws as `checkWords` does. */
export function decodeWords(
  frame: string,
  { flags, body }: Pick<Frame, "flags" | "body">,
  least: number,
  most = least,
): readonly number[] {
  checkWords(frame, { flags, bodyBytes: body.byteLength }, least, most);
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  const words: number[] = [];
  for (let at = 0; at < body.byteLength; at += 4) words.push(view.getUint32(at, true));
  return words;
}
