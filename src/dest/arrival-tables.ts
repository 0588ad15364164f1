import { AtomicPageBitmap, bitmapBytes } from "../memory/bitmap.js";
import { SharedCounters } from "../memory/counters.js";
import { PassFrontier } from "./pass-frontier.js";

const COUNTERS = [
  /** Pages of stage one whose turn has come, whatever they were. */
  "pagesPassed",
  /** Pages with contents that came in stage one. */
  "stageOnePages",
  "tornPages",
  "pulledPages",
  "prepulledPages",
  "pushedPages",
  "unchangedPages",
  /** Checksums compared, and those of stage three that did not match. */
  "verifiedPages",
  "mismatches",
  "bytes",
] as const;

export type ArrivalCounter = (typeof COUNTERS)[number];

/** The shared words of an arrival; all accessed with Atomics only. */
const WORDS = {
  /** Main thread: one of `STAGE`. Receivers look at it for each frame. */
  STAGE: 0,
  /** Receivers: pages that are still missing; whoever takes it to 0 says so. */
  MISSING: 1,
} as const;

export const STAGE = { ONE: 1, THREE: 3 } as const;

export interface ArrivalTablesHandle {
  readonly pageCount: number;
  /** Whether pages come with checksums that are to be compared. */
  readonly checksums: boolean;
  readonly words: SharedArrayBuffer;
  readonly claimed: SharedArrayBuffer;
  readonly requested: SharedArrayBuffer;
  readonly prepulled: SharedArrayBuffer;
  readonly counters: SharedArrayBuffer;
  readonly frontier: SharedArrayBuffer;
}

/** What the threads of one incoming migration know together. */
export class ArrivalTables {
  /**
   * Stage three: pages that some receiver is filling or has filled. Whoever sets a page's bit may write
   * it, nobody else: so a page that the guest may have written is never written again by a receiver.
   */
  readonly claimed: AtomicPageBitmap;
  /** Pages that came along with another, until a vCPU touches them. */
  readonly prepulled: AtomicPageBitmap;
  readonly counters: SharedCounters<ArrivalCounter>;
  readonly frontier: PassFrontier;
  private readonly words: Int32Array;

  constructor(readonly handle: ArrivalTablesHandle) {
    this.claimed = new AtomicPageBitmap(handle.pageCount, handle.claimed);
    this.prepulled = new AtomicPageBitmap(handle.pageCount, handle.prepulled);
    this.counters = new SharedCounters(COUNTERS, handle.counters);
    this.frontier = new PassFrontier(handle.frontier);
    this.words = new Int32Array(handle.words);
  }

  static create(pageCount: number, bulkCount: number, checksums = true): ArrivalTables {
    const tables = new ArrivalTables({
      pageCount,
      checksums,
      words: new SharedArrayBuffer(8),
      claimed: new SharedArrayBuffer(bitmapBytes(pageCount)),
      requested: new SharedArrayBuffer(bitmapBytes(pageCount)),
      prepulled: new SharedArrayBuffer(bitmapBytes(pageCount)),
      counters: SharedCounters.createBuffer(COUNTERS),
      frontier: PassFrontier.createBuffer(bulkCount),
    });
    Atomics.store(tables.words, WORDS.STAGE, STAGE.ONE);
    return tables;
  }

  get stage(): number {
    return Atomics.load(this.words, WORDS.STAGE);
  }

  /** Main thread, before the guest starts: from here on only claimed pages are written. */
  enterStageThree(missingPages: number): void {
    Atomics.store(this.words, WORDS.MISSING, missingPages);
    Atomics.store(this.words, WORDS.STAGE, STAGE.THREE);
    Atomics.notify(this.words, WORDS.STAGE);
  }

  /** Blocks this thread while the guest has not been taken over, at most `timeoutMs`. */
  awaitStageThree(timeoutMs: number): void {
    Atomics.wait(this.words, WORDS.STAGE, STAGE.ONE, timeoutMs);
  }

  /** Pages that vCPUs had to ask for. */
  requestedCount(): number {
    return new AtomicPageBitmap(this.handle.pageCount, this.handle.requested).count();
  }

  get missingPages(): number {
    return Atomics.load(this.words, WORDS.MISSING);
  }

  /** `count` missing pages have arrived; true for whoever brought the last. */
  arrived(count: number): boolean {
    return Atomics.sub(this.words, WORDS.MISSING, count) === count && count > 0;
  }
}
