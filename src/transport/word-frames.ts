import { type Frame, HEADER_BYTES, nextSequence, readHeaderAt } from "../protocol/frame.js";
import { MAX_ANSWER_BYTES } from "../protocol/limits.js";
import type { InPlaceSink } from "./in-place.js";

/** Hears the frames of a connection. */
export interface FrameListener {
  /** The body is the frame's only until this returns. */
  take(frame: Frame): void;
  /** The stream makes no sense any more: `error` is a `MigrationError`, or what `take` threw. Nothing more is heard. */
  fail(error: Error): void;
}

/**
 * Cuts the bytes of a connection that carries small frames, in the buffer that they were read to: nothing is copied, and little
 * left behind for a collector, for which a thread that answers faults would stand still.
 */
export class WordFrames implements InPlaceSink {
  private readonly bytes = new Uint8Array(HEADER_BYTES + MAX_ANSWER_BYTES);
  private readonly view = new DataView(this.bytes.buffer);
  /** Bytes that have come of frames which nobody has heard yet. */
  private held = 0;
  private sequence = 0;
  private listener: FrameListener | undefined;
  private isLost = false;

  next(): Uint8Array {
    // Never full: it has room for the largest frame, and nothing is read while nobody listens.
    return this.held === 0 ? this.bytes : this.bytes.subarray(this.held);
  }

  filled(byteCount: number): void {
    if (this.isLost) return;
    this.held += byteCount;
    this.cut();
  }

  /** What has come already is heard at once. */
  listen(listener: FrameListener): void {
    this.listener = listener;
    this.cut();
  }

  /** What has not been heard yet waits for the next who listens. The socket must be paused. */
  hush(): void {
    this.listener = undefined;
  }

  private cut(): void {
    let at = 0;
    try {
      while (this.listener !== undefined && this.held - at >= HEADER_BYTES) {
        const header = readHeaderAt(at, this.view, this.sequence, MAX_ANSWER_BYTES);
        const end = at + HEADER_BYTES + header.bodyBytes;
        if (this.held < end) break;
        const body = this.bytes.subarray(at + HEADER_BYTES, end);
        this.sequence = nextSequence(this.sequence);
        at = end;
        this.listener.take({ ...header, body });
      }
    } catch (error) {
      this.isLost = true;
      this.held = at = 0;
      this.listener?.fail(error as Error);
      this.listener = undefined;
    }
    if (at === 0) return;
    this.bytes.copyWithin(0, at, this.held);
    this.held -= at;
  }
}
