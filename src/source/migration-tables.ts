import { AtomicPageBitmap, bitmapBytes } from "../memory/bitmap.js";
import { SharedCounters } from "../memory/counters.js";
import { EpochTracker } from "../memory/tracker.js";
import { BLOCKS_PER_PAGE } from "../protocol/deltas.js";

const COUNTERS = [
  /** The next chunk of the pass that no channel has taken yet. */
  "nextChunk",
  /** Pages whose turn in stage one has come and gone. */
  "pagesPassed",
  /** Pages sent with contents, by stage. */
  "stageOnePages",
  "stageThreePages",
  "zeroPages",
  "unchangedPages",
  /** Pages of which only the changed blocks were sent, and the bytes of those blocks. */
  "deltaPages",
  "deltaBytes",
  "pulledPages",
  "prepulledPages",
  /** The same, and those that were zero or unchanged: the destination counts a hit for each. */
  "prepulledOfAnyKind",
  "pushedPages",
  "tornPages",
  "deferredPages",
  /** Pages that a round left for the next, since the guest had written them again. */
  "skippedPages",
  "bulkBytes",
  "urgentBytes",
] as const;

export type SourceCounter = (typeof COUNTERS)[number];

/** Shared words; accessed with Atomics only. */
const WORDS = {
  /** Main thread: 1 from the switchover on. */
  HANDED_OVER: 0,
  /** Stage three: where pushing goes on; a hint, see push-order.ts. */
  PUSH_CURSOR: 1,
} as const;

/** The tables as they are handed to a thread. */
export interface MigrationTablesHandle {
  readonly pageCount: number;
  readonly marks: SharedArrayBuffer;
  readonly checksums: SharedArrayBuffer;
  readonly blockSums: SharedArrayBuffer;
  readonly sends: SharedArrayBuffer;
  readonly queued: SharedArrayBuffer;
  readonly resend: SharedArrayBuffer;
  readonly planned: SharedArrayBuffer;
  readonly counters: SharedArrayBuffer;
  readonly words: SharedArrayBuffer;
  readonly limiter: SharedArrayBuffer;
}

/**
 * What the threads of one outgoing migration know together, per page.
 *
 * `checksums`, `blockSums` and `sends` are plain: a page belongs to one thread at a time. In stage one that is the
 * thread that took its chunk, in stage three the one that claimed its bit in `queued`; between the two lie the
 * barrier's messages through the main thread, which order them.
 */
export class MigrationTables {
  /** Two words per page: the checksum of its contents when they were last sent; see page kernels. */
  readonly checksums: Int32Array;
  /** `BLOCKS_PER_PAGE` words per page: the sums of its blocks when it was last sent before stage three, or zeroes where nobody noted them. */
  readonly blockSums: Int32Array;
  /** How often the page's contents have crossed the wire, whole or as a delta. */
  readonly sends: Uint16Array;
  /** Stage three: pages that some thread has taken on to send, so that none is sent twice. */
  readonly queued: AtomicPageBitmap;
  /**
   * Pages that have to be sent again whatever their stamp says, and never as "unchanged": those that
   * arrived torn, and those that were deferred.
   */
  readonly resend: AtomicPageBitmap;
  /** The pages of the round under way, or of stage three. Written by the main thread before it begins. */
  readonly planned: AtomicPageBitmap;
  readonly counters: SharedCounters<SourceCounter>;
  private readonly words: Int32Array;

  constructor(readonly handle: MigrationTablesHandle) {
    this.checksums = new Int32Array(handle.checksums);
    this.blockSums = new Int32Array(handle.blockSums);
    this.sends = new Uint16Array(handle.sends);
    this.queued = new AtomicPageBitmap(handle.pageCount, handle.queued);
    this.resend = new AtomicPageBitmap(handle.pageCount, handle.resend);
    this.planned = new AtomicPageBitmap(handle.pageCount, handle.planned);
    this.counters = new SharedCounters(COUNTERS, handle.counters);
    this.words = new Int32Array(handle.words);
  }

  static create(pageCount: number, limiter: SharedArrayBuffer): MigrationTables {
    return new MigrationTables({
      pageCount,
      marks: EpochTracker.createMarks(pageCount),
      checksums: new SharedArrayBuffer(pageCount * 8),
      // Of memory that is never touched nothing is taken.
      blockSums: new SharedArrayBuffer(pageCount * BLOCKS_PER_PAGE * 4),
      sends: new SharedArrayBuffer(pageCount * 2),
      queued: new SharedArrayBuffer(bitmapBytes(pageCount)),
      resend: new SharedArrayBuffer(bitmapBytes(pageCount)),
      planned: new SharedArrayBuffer(bitmapBytes(pageCount)),
      counters: SharedCounters.createBuffer(COUNTERS),
      words: new SharedArrayBuffer(4 * Object.keys(WORDS).length),
      limiter,
    });
  }

  /** Main thread, while no channel sends: the next pass begins with the first chunk. */
  rewind(): void {
    this.counters.add("nextChunk", -this.counters.read("nextChunk"));
  }

  /** Main thread, before it hands the guest over: from here on pages may be asked for. */
  allowRequests(): void {
    Atomics.store(this.words, WORDS.HANDED_OVER, 1);
  }

  /** Whether the destination may ask for pages. Before the switchover it has no guest that could fault. */
  get mayBeAsked(): boolean {
    return Atomics.load(this.words, WORDS.HANDED_OVER) === 1;
  }

  get pushCursor(): number {
    return Atomics.load(this.words, WORDS.PUSH_CURSOR);
  }

  set pushCursor(page: number) {
    Atomics.store(this.words, WORDS.PUSH_CURSOR, page);
  }

  /** The most often that any one page's contents were sent. Once no thread sends. */
  mostSendsOfOnePage(): number {
    return this.sends.reduce((most, sends) => Math.max(most, sends), 0);
  }
}
