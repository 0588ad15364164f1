import { closeSync } from "node:fs";
import { HEADER_BYTES, nextSequence, writeHeader } from "../protocol/frame.js";
import { encodeWords, FIRST_DATA_SEQUENCE, FRAME_TYPES } from "../protocol/pages.js";
import { writeNow } from "./write-now.js";

/**
 * The connections on which vCPUs ask for missing pages, one for each vCPU. A vCPU that faults writes to its own by
 * itself: handing the request to another thread would cost it the wake-up of that thread, which on busy cores
 * is the larger part of a fault.
 *
 * So a bare descriptor is used by one thread and closed by another, and its number must not be closed while it
 * is written to, since whoever opens a file next would get the number and the request. A word for
 * each vCPU says whose it is, and changes hands only by atomic exchange:
 *
 * - `NONE`: not connected yet;
 * - n > 0: descriptor n - 1, and nobody writes;
 * - n < 0: the vCPU writes to descriptor -n - 1;
 * - `CLOSED`, for good. Whoever finds that the other left it so, closes the descriptor: the main thread one
 *   that nobody was writing to, the vCPU the one that it has just written to. (A vCPU whose thread is ended in the
 *   middle leaves it open for as long as the process lives.)
 *
 * Nothing is read from these connections. That one breaks is seen by the source, and by the other connections.
 */
const NONE = 0;
const CLOSED = -0x80000000;

/** The main thread's side. */
export class FaultLines {
  /** For the vCPUs: a word each. */
  readonly words: SharedArrayBuffer;
  private readonly state: Int32Array;

  constructor(vcpuCount: number) {
    this.words = new SharedArrayBuffer(vcpuCount * 4);
    this.state = new Int32Array(this.words);
  }

  /** Gives descriptor `fd` to `vcpu`, and tells the source so. Once for each vCPU. */
  open(vcpu: number, fd: number): void {
    writeNow(fd, encodeWords(FRAME_TYPES.ATTACHED, 0, []));
    if (Atomics.compareExchange(this.state, vcpu, NONE, fd + 1) !== NONE) closeSync(fd);
  }

  /** Idempotent; a line that is opened later is closed at once. */
  close(): void {
    for (let vcpu = 0; vcpu < this.state.length; vcpu += 1) {
      const before = Atomics.exchange(this.state, vcpu, CLOSED);
      if (before > 0) closeSync(before - 1);
    }
  }
}

/** A vCPU's side. Belongs to its thread. */
export class FaultLine {
  private readonly state: Int32Array;
  private sequence = FIRST_DATA_SEQUENCE;
  /** The request of the fault under way: the same frame every time, so that a fault leaves no garbage behind. */
  private readonly frame: Uint8Array<ArrayBuffer>;
  private readonly view: DataView;
  private isFresh = false;
  /** What could not leave when it was asked, the first perhaps in part: hardly ever more than none. */
  private readonly unsent: Uint8Array[] = [];

  constructor(
    words: SharedArrayBuffer,
    private readonly vcpu: number,
  ) {
    this.state = new Int32Array(words);
    this.frame = encodeWords(FRAME_TYPES.REQUEST, 0, [0, 0, vcpu, 0]);
    this.view = new DataView(this.frame.buffer);
  }

  /** Asks for `page`; `hits` prepulled pages have been touched by this vCPU so far. To be followed by `flush`. */
  request(page: number, hits: number): void {
    if (this.isFresh) this.keepFrom(0);
    const bodyBytes = this.frame.byteLength - HEADER_BYTES;
    writeHeader(this.view, {
      type: FRAME_TYPES.REQUEST,
      flags: 0,
      sequence: this.sequence,
      bodyBytes,
    });
    this.view.setUint32(HEADER_BYTES, page, true);
    this.view.setUint32(HEADER_BYTES + 12, hits, true);
    this.isFresh = true;
    this.sequence = nextSequence(this.sequence);
  }

  /** False while something has still to leave: there is no connection yet, or its queue is full. Try again soon. */
  flush(): boolean {
    if (!this.isFresh && this.unsent.length === 0) return true;
    const word = Atomics.load(this.state, this.vcpu);
    if (word === CLOSED) return true;
    if (word === NONE) return false;
    if (Atomics.compareExchange(this.state, this.vcpu, word, -word) !== word) return true;
    const fd = word - 1;
    this.writeAll(fd);
    if (Atomics.compareExchange(this.state, this.vcpu, -word, word) !== -word) closeSync(fd);
    return this.unsent.length === 0;
  }

  private writeAll(fd: number): void {
    if (this.isFresh && this.unsent.length === 0) {
      const written = writeNow(fd, this.frame);
      if (written < this.frame.byteLength) this.keepFrom(written);
      this.isFresh = false;
      return;
    }
    if (this.isFresh) this.keepFrom(0);
    for (let first = this.unsent[0]; first !== undefined; first = this.unsent[0]) {
      const written = writeNow(fd, first);
      if (written < first.byteLength) {
        this.unsent[0] = first.subarray(written);
        return;
      }
      this.unsent.shift();
    }
  }

  /** What is left of the request under way has to wait, and the next may use its frame. */
  private keepFrom(byte: number): void {
    this.unsent.push(this.frame.slice(byte));
    this.isFresh = false;
  }
}
