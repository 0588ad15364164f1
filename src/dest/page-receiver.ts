import { MigrationError } from "../failure.js";
import { HEADER_BYTES, malformed, nextSequence, readHeader } from "../protocol/frame.js";
import {
  decodeWords,
  FRAME_TYPES,
  MAX_PAGES_FRAME_BYTES,
  PAGES_HEAD_BYTES,
  type PageRun,
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
  /** Two words per page with a checksum, in the order of the runs. */
  readonly checksums: Int32Array;
  readonly frameBytes: number;
}

/** What becomes of the frames of one connection. */
export interface FrameHandler {
  readonly pageCount: number;
  /** The buffers for the frame's contents, in order; together as long as its data pages. */
  place(frame: IncomingFrame): Uint8Array[];
  /** Every buffer is filled. */
  accept(frame: IncomingFrame): void;
  barrier(pass: number): void;
}

/**
 * Cuts the bytes of one data connection into frames, and says before each read where its bytes go: the
 * contents of pages go where `place` says, without a copy between. Throws a `MigrationError` out of
 * `filled` for a frame that makes no sense.
 */
export class PageReceiver implements InPlaceSink {
  private readonly front = new Uint8Array(HEADER_BYTES + PAGES_HEAD_BYTES);
  /** The buffer under way and those that follow it. */
  private pieces: Uint8Array[];
  private piece = 0;
  private offset = 0;
  private then: () => void;
  private atHeader = true;

  constructor(
    private readonly handler: FrameHandler,
    private sequence: number,
  ) {
    this.pieces = [this.front.subarray(0, HEADER_BYTES)];
    this.then = () => {
      this.takeHeader();
    };
  }

  /** Bytes that the frame under way still lacks, as far as is known; 0 between frames. */
  get missingBytes(): number {
    if (this.atHeader && this.offset === 0) return 0;
    const left = this.pieces.slice(this.piece).reduce((sum, piece) => sum + piece.byteLength, 0);
    return left - this.offset;
  }

  next(): Uint8Array {
    return this.pieces[this.piece]!.subarray(this.offset);
  }

  filled(byteCount: number): void {
    this.offset += byteCount;
    if (this.offset < this.pieces[this.piece]!.byteLength) return;
    this.offset = 0;
    this.piece += 1;
    if (this.piece === this.pieces.length) this.then();
  }

  /** The next step is `then`, once `pieces` are filled; at once where there is nothing to fill. */
  private expect(pieces: Uint8Array[], then: () => void): void {
    this.pieces = pieces.filter((piece) => piece.byteLength > 0);
    this.piece = 0;
    this.then = then;
    if (this.pieces.length === 0) then();
  }

  private expectHeader(): void {
    this.atHeader = true;
    this.expect([this.front.subarray(0, HEADER_BYTES)], () => {
      this.takeHeader();
    });
  }

  private takeHeader(): void {
    this.atHeader = false;
    const header = readHeader(this.front, this.sequence, MAX_PAGES_FRAME_BYTES);
    this.sequence = nextSequence(this.sequence);
    const { type, flags, bodyBytes } = header;
    if (type === FRAME_TYPES.BARRIER) {
      const body = new Uint8Array(bodyBytes);
      this.expect([body], () => {
        const [pass = 0] = decodeWords("barrier", body, 1);
        this.handler.barrier(pass);
        this.expectHeader();
      });
      return;
    }
    if (type !== FRAME_TYPES.PAGES) throw new MigrationError({ code: "FRAME_UNKNOWN", type });
    if (flags > PURPOSE.PULL) throw malformed("pages", `its purpose ${String(flags)} is unknown`);
    if (bodyBytes < PAGES_HEAD_BYTES) throw malformed("pages", "it is too short for its head");
    this.expect([this.front.subarray(HEADER_BYTES)], () => {
      this.takeHead(flags as Purpose, bodyBytes);
    });
  }

  private takeHead(purpose: Purpose, bodyBytes: number): void {
    const head = readPagesHead(this.front.subarray(HEADER_BYTES), bodyBytes);
    const table = new Uint8Array(head.tableBytes);
    this.expect([table], () => {
      const frame: IncomingFrame = {
        purpose,
        pass: head.pass,
        runs: readRuns(table, head, this.handler.pageCount),
        checksums: readChecksums(table, head),
        frameBytes: HEADER_BYTES + bodyBytes,
      };
      this.expect(this.handler.place(frame), () => {
        this.handler.accept(frame);
        this.expectHeader();
      });
    });
  }
}
