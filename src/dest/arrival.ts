import { MigrationError } from "../failure.js";
import { PAGE_BYTES, type PageRange } from "../memory/geometry.js";
import { createPageKernel, type PageKernel } from "../memory/kernel.js";
import type { GuestRam } from "../memory/ram.js";
import { FIRST_EPOCH, VCPU_WORDS, vcpuWords } from "../memory/words.js";
import { BLOCK_BYTES, countBlocks, lowestRun, offsetOfBlocks } from "../protocol/deltas.js";
import { MAX_DATA_PAGES } from "../protocol/limits.js";
import { type PageRun, type Purpose, PURPOSE, RUN_KIND, type RunKind } from "../protocol/pages.js";
import { type ArrivalCounter, type ArrivalTables, STAGE } from "./arrival-tables.js";
import type { FrameHandler, IncomingDeltas, IncomingFrame } from "./page-receiver.js";
import { Populator } from "./populator.js";

/** What an arrival tells its channel. */
export interface ArrivalSink {
  /** Stage one: these pages were written while they were sent; the source must know. */
  torn(pages: readonly number[]): void;
  /** The source may have that many more bytes under way. */
  credit(bytes: number): void;
  barrierPassed(pass: number): void;
  /** Stage three: this page came corrupt. */
  requestAgain(page: number): void;
  /** No page is missing any more. */
  whole(): void;
}

/** A frame in more pieces than this is read in one and copied. */
const MOST_READS = 8;

const ARRIVED_BY: Readonly<Record<number, ArrivalCounter>> = {
  [PURPOSE.PUSH]: "pushedPages",
  [PURPOSE.PREPULL]: "prepulledPages",
  [PURPOSE.PULL]: "pulledPages",
};

/**
 * Puts arriving pages into guest memory and verifies them. One per data connection, in its thread.
 *
 * In stage one the guest does not run here, so pages are simply written; a wrong checksum means that the
 * page was written while it was sent. In stage three the guest runs: a page is written only by whoever
 * claimed it, becomes visible only through the `arrived` bitmap after it was verified, and is never
 * touched by a receiver again.
 */
export class Arrival implements FrameHandler {
  readonly pageCount: number;
  private readonly kernel: PageKernel;
  private readonly populator: Populator | undefined;
  private readonly bytes: Uint8Array;
  /** Contents that nobody wants: of pages that are here already. */
  private readonly scratch = new Uint8Array(PAGE_BYTES);
  /** Where the frame under way belongs, if it is read into `staging` first. */
  private staged: readonly Uint8Array[] = [];
  private staging: Uint8Array | undefined;
  /** Stage three: pages of the frame under way that this thread has claimed. */
  private readonly ours = new Set<number>();
  /** Pages that failed their checksum once. */
  private readonly suspects = new Set<number>();

  constructor(
    private readonly ram: GuestRam,
    private readonly tables: ArrivalTables,
    private readonly sink: ArrivalSink,
    /** Which of the bulk channels it is, from 0 on; null for the urgent one, which has no part in a pass. */
    bulkIndex: number | null,
    /** How long pages of stage three wait for it; 0 for none at all. */
    private readonly patienceMs = 0,
  ) {
    this.pageCount = ram.pageCount;
    this.kernel = createPageKernel(ram.handle.memory);
    this.populator =
      bulkIndex === null ? undefined : new Populator(ram, tables.frontier, bulkIndex);
    this.bytes = new Uint8Array(ram.buffer);
  }

  place(frame: IncomingFrame): Uint8Array[] {
    const isPass = frame.purpose === PURPOSE.PASS;
    if (!isPass) this.tables.awaitStageThree(this.patienceMs);
    this.checkStage(frame);
    if (!isPass) {
      this.ours.clear();
      for (const run of frame.runs) this.claim(run);
    }
    const places: Uint8Array[] = [];
    for (const run of frame.runs) {
      if (run.kind !== RUN_KIND.DATA) continue;
      if (isPass) places.push(this.view(run));
      else this.placeClaimed(run, places);
    }
    // A read for each of many short runs costs more than one read and a copy of it.
    this.staged = places.length > MOST_READS ? places : [];
    if (this.staged.length === 0) return places;
    const byteCount = places.reduce((sum, place) => sum + place.byteLength, 0);
    return [this.stagingOf(byteCount)];
  }

  private stagingOf(byteCount: number): Uint8Array {
    this.staging ??= new Uint8Array(MAX_DATA_PAGES * PAGE_BYTES);
    return this.staging.subarray(0, byteCount);
  }

  accept(frame: IncomingFrame): void {
    // The guest may have been handed over while the frame came in.
    this.checkStage(frame);
    this.unstage();
    this.tables.counters.add("bytes", frame.frameBytes);
    if (frame.purpose === PURPOSE.PASS) this.acceptPass(frame);
    else this.acceptMissing(frame);
  }

  /** Copies what was read at once to where it belongs. */
  private unstage(): void {
    let at = 0;
    for (const place of this.staged) {
      place.set(this.staging!.subarray(at, at + place.byteLength));
      at += place.byteLength;
    }
    this.staged = [];
  }

  placeDeltas(frame: IncomingDeltas): Uint8Array {
    this.tables.awaitStageThree(this.patienceMs);
    this.checkStage(frame);
    this.ours.clear();
    for (const { page } of frame.deltas) this.claim({ firstPage: page, pageCount: 1 });
    return this.stagingOf(frame.blocks * BLOCK_BYTES);
  }

  acceptDeltas(frame: IncomingDeltas): void {
    this.tables.counters.add("bytes", frame.frameBytes);
    let arrived = 0;
    let verified = 0;
    let from = 0;
    for (const { page, blocks, low, high } of frame.deltas) {
      // A frame may name a page twice, by mistake or malice: the first time it becomes the guest's.
      const isOurs = this.ours.delete(page);
      if (isOurs) this.putBlocks(page, blocks, from);
      from += countBlocks(blocks) * BLOCK_BYTES;
      if (!isOurs) continue;
      verified += 1;
      if (this.takeInIf(this.matches(page, low, high), page, frame.purpose)) arrived += 1;
    }
    this.noteVerified(verified);
    this.noteArrived(arrived, frame.frameBytes);
  }

  /** From byte `from` of what was staged. */
  private putBlocks(page: number, blocks: number, from: number): void {
    let at = from;
    for (let rest = blocks, run; rest !== 0; rest ^= run) {
      run = lowestRun(rest);
      const end = at + countBlocks(run) * BLOCK_BYTES;
      this.bytes.set(this.staging!.subarray(at, end), page * PAGE_BYTES + offsetOfBlocks(run));
      at = end;
    }
  }

  barrier(pass: number): void {
    this.populator?.passTo(this.pageCount);
    this.sink.barrierPassed(pass);
  }

  private checkStage({ purpose }: Pick<IncomingFrame, "purpose">): void {
    const isPass = purpose === PURPOSE.PASS;
    if (isPass === (this.tables.stage === STAGE.ONE)) return;
    const phase = isPass ? "draining" : "copying";
    throw new MigrationError({ code: "MESSAGE_UNEXPECTED", message: "pages", phase });
  }

  private view({ firstPage, pageCount }: Omit<PageRun, "kind">): Uint8Array {
    return Buffer.from(this.ram.buffer, firstPage * PAGE_BYTES, pageCount * PAGE_BYTES);
  }

  private acceptPass(frame: IncomingFrame): void {
    const torn: number[] = [];
    let passed = 0;
    let checksum = 0;
    for (const run of frame.runs) {
      this.populator?.passTo(run.firstPage);
      passed += run.pageCount;
      if (run.kind === RUN_KIND.DATA) this.verify(run, frame.checksums, checksum, torn);
      // Fresh memory is zero already; a page that came before may not be.
      if (run.kind === RUN_KIND.ZERO && this.ram.arrived.hasAny(run)) this.clear(run);
      if (run.kind !== RUN_KIND.ZERO) checksum += run.pageCount;
      // Before it has arrived, so that whoever sees that may give the page another stamp.
      if (run.kind === RUN_KIND.DATA) this.stamp(run);
      this.ram.arrived.addRange(run);
    }
    const { counters } = this.tables;
    counters.add("pagesPassed", passed);
    counters.add("stageOnePages", frame.checksummed);
    this.noteVerified(frame.checksummed);
    if (torn.length === 0) return;
    counters.add("tornPages", torn.length);
    this.sink.torn(torn);
  }

  /** Adds those pages of a run to `torn` that are not what their checksums say, from the `first` on. */
  private verify(run: PageRun, checksums: Int32Array, first: number, torn: number[]): void {
    const { firstPage, pageCount } = run;
    for (let at = 0; at < pageCount; at += 1) {
      const word = (first + at) * 2;
      if (!this.matches(firstPage + at, checksums[word]!, checksums[word + 1]!)) {
        torn.push(firstPage + at);
      }
    }
  }

  /** These pages are not zero. No vCPU runs yet; the main thread hears of the barrier before one does. */
  private stamp({ firstPage, pageCount }: PageRun): void {
    this.ram.stamps.fill(FIRST_EPOCH, firstPage, firstPage + pageCount);
  }

  /** Claims those pages that are missing; all of a frame's, before any byte is written. */
  private claim({ firstPage, pageCount }: PageRange): void {
    for (let page = firstPage; page < firstPage + pageCount; page += 1) {
      if (this.tables.claimed.claim(page)) this.ours.add(page);
    }
  }

  /** Claimed pages go to their place, the others to scratch; neighbours of a kind are joined. */
  private placeClaimed({ firstPage, pageCount }: PageRun, pieces: Uint8Array[]): void {
    const end = firstPage + pageCount;
    let page = firstPage;
    while (page < end) {
      const start = page;
      while (page < end && this.ours.has(page)) page += 1;
      if (page > start) pieces.push(this.view({ firstPage: start, pageCount: page - start }));
      else {
        pieces.push(this.scratch);
        page += 1;
      }
    }
  }

  private acceptMissing(frame: IncomingFrame): void {
    const { counters } = this.tables;
    let arrived = 0;
    let verified = 0;
    let word = 0;
    for (const { firstPage, pageCount, kind } of frame.runs) {
      for (let page = firstPage; page < firstPage + pageCount; page += 1) {
        const at = word;
        if (kind !== RUN_KIND.ZERO) word += 2;
        // A frame may name a page twice, by mistake or malice: the first time it becomes the guest's.
        if (!this.ours.delete(page)) continue;
        if (kind !== RUN_KIND.ZERO) verified += 1;
        if (!this.takeIn(page, kind, frame, at)) continue;
        arrived += 1;
      }
    }
    this.noteVerified(verified);
    const unchanged = pagesOfKind(frame, RUN_KIND.UNCHANGED);
    counters.add("unchangedPages", unchanged);
    const counter = ARRIVED_BY[frame.purpose];
    if (counter !== undefined) counters.add(counter, pagesOfKind(frame, RUN_KIND.DATA));
    this.noteArrived(arrived, frame.frameBytes);
  }

  /** Pages of stage three have become the guest's, with a frame of so many bytes. */
  private noteArrived(pages: number, frameBytes: number): void {
    this.wakeWaiters();
    this.sink.credit(frameBytes);
    if (this.tables.arrived(pages)) this.sink.whole();
  }

  /** A missing page, whose checksum is at `word` of the frame's. False for one that is corrupt. */
  private takeIn(page: number, kind: RunKind, frame: IncomingFrame, word: number): boolean {
    const { purpose, checksums } = frame;
    if (kind === RUN_KIND.ZERO) this.clear({ firstPage: page, pageCount: 1 });
    const isSound =
      kind === RUN_KIND.ZERO || this.matches(page, checksums[word]!, checksums[word + 1]!);
    return this.takeInIf(isSound, page, purpose);
  }

  /** False for one that is corrupt: it is asked for again, and comes whole. */
  private takeInIf(isSound: boolean, page: number, purpose: Purpose): boolean {
    if (!isSound) {
      this.suspect(page);
      return false;
    }
    if (purpose === PURPOSE.PREPULL) this.tables.prepulled.claim(page);
    this.ram.arrived.claim(page);
    return true;
  }

  /** A vCPU that waits announced its page before it looked at `arrived`, which is set by now. */
  private wakeWaiters(): void {
    const { words, vcpuCount } = this.ram;
    for (let vcpu = 0; vcpu < vcpuCount; vcpu += 1) {
      const at = vcpuWords(vcpu) + VCPU_WORDS.AWAITED;
      const awaited = Atomics.load(words, at);
      if (awaited === 0 || !this.ram.arrived.has(awaited - 1)) continue;
      if (Atomics.compareExchange(words, at, awaited, 0) === awaited) Atomics.notify(words, at);
    }
  }

  private suspect(page: number): void {
    this.tables.counters.add("mismatches", 1);
    if (this.suspects.has(page)) {
      throw new MigrationError({ code: "PAGE_CORRUPT", pageIndex: page });
    }
    this.suspects.add(page);
    this.tables.claimed.take(page);
    this.sink.requestAgain(page);
  }

  /** What came without a checksum is believed: TCP has compared its own. */
  private matches(page: number, low: number, high: number): boolean {
    if (!this.tables.handle.checksums) return true;
    const ours = this.kernel.checksumPage(page * PAGE_BYTES);
    return ours === low && this.kernel.checksumHigh() === high;
  }

  private noteVerified(pages: number): void {
    if (this.tables.handle.checksums) this.tables.counters.add("verifiedPages", pages);
  }

  private clear({ firstPage, pageCount }: PageRange): void {
    this.bytes.fill(0, firstPage * PAGE_BYTES, (firstPage + pageCount) * PAGE_BYTES);
  }
}

function pagesOfKind(frame: IncomingFrame, wanted: RunKind): number {
  let pages = 0;
  for (const { kind, pageCount } of frame.runs) if (kind === wanted) pages += pageCount;
  return pages;
}
