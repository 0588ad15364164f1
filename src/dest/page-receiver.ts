import { MigrationError } from "../failure.js";
import {
  type FrameHeader,
  HEADER_BYTES,
  malformed,
  nextSequence,
  readHeader,
} from "../protocol/frame.js";
import {
  type Delta,
  DELTAS_HEAD_BYTES,
  type DeltasHead,
  MAX_DELTAS_TABLE_BYTES,
  readDeltas,
  readDeltasHead,
} from "../protocol/deltas.js";
import { MAX_DATA_PAGES } from "../protocol/limits.js";
import {
  checkWords,
  decodeWords,
  FRAME_TYPES,
  MAX_PAGES_FRAME_BYTES,
  MAX_TABLE_BYTES,
  PAGES_HEAD_BYTES,
  type PageRun,
  type PagesHead,
  PURPOSE,
  type Purpose,
  readChecksums,
  readPagesHead,
  readRuns,
} from "../protocol/pages.js";
import type { InPlaceSink } from "../transport/in-place.js";

/** A page frame without its contents. */
export interface IncomingFrame {
  readonly purpose: Purpose;
  readonly pass: number;
  readonly runs: readonly PageRun[];
  /** Pages with a checksum, and two words for each at the start of `checksums`, in the order of the runs. */
  readonly checksummed: number;
  readonly checksums: Int32Array;
  readonly frameBytes: number;
}

/** A frame of deltas without their blocks. */
export interface IncomingDeltas {
  readonly purpose: Purpose;
  readonly deltas: readonly Delta[];
  /** Of all deltas. */
  readonly blocks: number;
  readonly frameBytes: number;
}

/** What becomes of the frames of one connection. A frame's checksums are its own only until it was accepted. */
export interface FrameHandler {
  readonly pageCount: number;
  /** The buffers for the frame's contents, in order; together as long as its data pages. */
  place(frame: IncomingFrame): Uint8Array[];
  /** Every buffer is filled. */
  accept(frame: IncomingFrame): void;
  /** The buffer for all blocks. */
  placeDeltas(frame: IncomingDeltas): Uint8Array;
  /** It is filled. */
  acceptDeltas(frame: IncomingDeltas): void;
  barrier(pass: number): void;
}

/**
 * Cuts the bytes of one data connection into frames, and says before each read where its bytes go: the
 * contents of pages go where `place` says, without a copy between. Throws a `MigrationError` out of
 * `filled` for a frame that makes no sense.
 *
 * A page that a guest waits for comes this way, and a thread stands still while its garbage is collected. So all that a
 * frame is read into, but its contents, is used again for the next.
 */
export class PageReceiver implements InPlaceSink {
  private readonly front = new Uint8Array(HEADER_BYTES + PAGES_HEAD_BYTES);
  private readonly headerPieces = [this.front.subarray(0, HEADER_BYTES)];
  private readonly headPieces = [this.front.subarray(HEADER_BYTES)];
  private readonly deltasHeadPieces = [
    this.front.subarray(HEADER_BYTES, HEADER_BYTES + DELTAS_HEAD_BYTES),
  ];
  private readonly table = new Uint8Array(Math.max(MAX_TABLE_BYTES, MAX_DELTAS_TABLE_BYTES));
  private readonly checksums = new Int32Array(MAX_DATA_PAGES * 2);
  /** The buffer under way and those that follow it. */
  private pieces: readonly Uint8Array[] = this.headerPieces;
  private piece = 0;
  private offset = 0;
  private then: () => void;
  private atHeader = true;
  /** Of the frame under way, once they are known. */
  private header: FrameHeader | undefined;
  private head: PagesHead | undefined;
  private frame: IncomingFrame | undefined;
  private deltasHead: DeltasHead | undefined;
  private deltasFrame: IncomingDeltas | undefined;

  constructor(
    private readonly handler: FrameHandler,
    private sequence: number,
  ) {
    this.then = this.takeHeader;
  }

  /** Bytes that the frame under way still lacks, as far as is known; 0 between frames. */
  get missingBytes(): number {
    if (this.atHeader && this.offset === 0) return 0;
    const left = this.pieces.slice(this.piece).reduce((sum, piece) => sum + piece.byteLength, 0);
    return left - this.offset;
  }

  next(): Uint8Array {
    const piece = this.pieces[this.piece]!;
    return this.offset === 0 ? piece : piece.subarray(this.offset);
  }

  filled(byteCount: number): void {
    this.offset += byteCount;
    if (this.offset < this.pieces[this.piece]!.byteLength) return;
    this.offset = 0;
    this.piece += 1;
    if (this.piece === this.pieces.length) this.then();
  }

  /** The next step is `then`, once `pieces` are filled, none of them empty; at once where there are none. */
  private expect(pieces: readonly Uint8Array[], then: () => void): void {
    this.pieces = pieces;
    this.piece = 0;
    this.then = then;
    if (pieces.length === 0) then();
  }

  private expectHeader(): void {
    this.atHeader = true;
    this.expect(this.headerPieces, this.takeHeader);
  }

  private checkDeltas({ flags, bodyBytes }: FrameHeader): void {
    if (flags === PURPOSE.PASS || flags > PURPOSE.PULL) {
      throw malformed("deltas", `its purpose ${String(flags)} is none of stage three`);
    }
    if (bodyBytes < DELTAS_HEAD_BYTES) throw malformed("deltas", "it is too short for its head");
  }

  // The steps, each a function that is made once.

  private readonly takeHeader = (): void => {
    this.atHeader = false;
    const header = readHeader(this.front, this.sequence, MAX_PAGES_FRAME_BYTES);
    this.header = header;
    this.sequence = nextSequence(this.sequence);
    const { type, flags, bodyBytes } = header;
    if (type === FRAME_TYPES.BARRIER) {
      checkWords("barrier", header, 1);
      this.expect([this.table.subarray(0, bodyBytes)], this.takeBarrier);
      return;
    }
    if (type === FRAME_TYPES.DELTAS) {
      this.checkDeltas(header);
      this.expect(this.deltasHeadPieces, this.takeDeltasHead);
      return;
    }
    if (type !== FRAME_TYPES.PAGES) throw new MigrationError({ code: "FRAME_UNKNOWN", type });
    if (flags > PURPOSE.PULL) throw malformed("pages", `its purpose ${String(flags)} is unknown`);
    if (bodyBytes < PAGES_HEAD_BYTES) throw malformed("pages", "it is too short for its head");
    this.expect(this.headPieces, this.takeHead);
  };

  private readonly takeBarrier = (): void => {
    const [pass = 0] = decodeWords("barrier", { flags: 0, body: this.table.subarray(0, 4) }, 1);
    this.handler.barrier(pass);
    this.expectHeader();
  };

  private readonly takeHead = (): void => {
    this.head = readPagesHead(this.headPieces[0]!, this.header!.bodyBytes);
    this.expect([this.table.subarray(0, this.head.tableBytes)], this.takeTable);
  };

  private readonly takeTable = (): void => {
    const head = this.head!;
    const { flags, bodyBytes } = this.header!;
    readChecksums(this.table, head, this.checksums);
    const frame: IncomingFrame = {
      purpose: flags as Purpose,
      pass: head.pass,
      runs: readRuns(this.table, head, this.handler.pageCount),
      checksummed: head.dataPages + head.unchangedPages,
      checksums: this.checksums,
      frameBytes: HEADER_BYTES + bodyBytes,
    };
    this.frame = frame;
    this.expect(this.handler.place(frame), this.takeContents);
  };

  private readonly takeContents = (): void => {
    this.handler.accept(this.frame!);
    this.expectHeader();
  };

  private readonly takeDeltasHead = (): void => {
    this.deltasHead = readDeltasHead(this.deltasHeadPieces[0]!, this.header!.bodyBytes);
    this.expect([this.table.subarray(0, this.deltasHead.tableBytes)], this.takeDeltasTable);
  };

  private readonly takeDeltasTable = (): void => {
    const head = this.deltasHead!;
    const { flags, bodyBytes } = this.header!;
    const frame: IncomingDeltas = {
      purpose: flags as Purpose,
      deltas: readDeltas(this.table, head, this.handler.pageCount),
      blocks: head.blocks,
      frameBytes: HEADER_BYTES + bodyBytes,
    };
    this.deltasFrame = frame;
    this.expect([this.handler.placeDeltas(frame)], this.takeBlocks);
  };

  private readonly takeBlocks = (): void => {
    this.handler.acceptDeltas(this.deltasFrame!);
    this.expectHeader();
  };
}
