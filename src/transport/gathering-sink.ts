import type { InPlaceSink } from "./in-place.js";

const BUFFER_BYTES = 64 * 1024;
const SMALL_BYTES = 64;

/**
 * Reads all that has come at once, and copies it to where the inner sink wants it. For a connection of small
 * frames: a read for each of their parts would cost more than the copy.
 */
export class GatheringSink implements InPlaceSink {
  private readonly buffer = new Uint8Array(BUFFER_BYTES);

  constructor(private readonly inner: InPlaceSink) {}

  next(): Uint8Array {
    return this.buffer;
  }

  filled(byteCount: number): void {
    let at = 0;
    while (at < byteCount) {
      const target = this.inner.next();
      const taken = Math.min(target.byteLength, byteCount - at);
      // A view is garbage right after: for a few bytes it costs more than the bytes.
      if (taken <= SMALL_BYTES) for (let i = 0; i < taken; i += 1) target[i] = this.buffer[at + i]!;
      else target.set(this.buffer.subarray(at, at + taken));
      at += taken;
      this.inner.filled(taken);
    }
  }
}
