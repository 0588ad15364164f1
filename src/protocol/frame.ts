import { MigrationError } from "../failure.js";

/**
 * Every frame starts with 16 bytes, little-endian:
 *
 * | offset | bytes | field |
 * |---|---|---|
 * | 0 | 4 | magic, the letters `TRI3` |
 * | 4 | 1 | type: a message's id, or one of `FRAME_TYPES`; 0 is never valid |
 * | 5 | 1 | flags, meaning by type; 0 where none is defined |
 * | 6 | 2 | reserved, 0 |
 * | 8 | 4 | sequence: 0, 1, 2, … for each direction of each connection, modulo 2^32 |
 * | 12 | 4 | length of the body in bytes |
 */
export const HEADER_BYTES = 16;
export const MAGIC = 0x33495254;

export interface FrameHeader {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  readonly bodyBytes: number;
}

export interface Frame extends FrameHeader {
  readonly body: Uint8Array;
}

/** Writes the header at the start of `view`. */
export function writeHeader(view: DataView, header: FrameHeader): void {
  view.setUint32(0, MAGIC, true);
  view.setUint8(4, header.type);
  view.setUint8(5, header.flags);
  view.setUint16(6, 0, true);
  view.setUint32(8, header.sequence, true);
  view.setUint32(12, header.bodyBytes, true);
}

/**
 * Reads the header at the start of `source`. Throws NOT_TRISTAGE for another magic, FRAME_OUT_OF_ORDER for
 * another sequence than `expected`, FRAME_UNKNOWN for type 0, FRAME_MALFORMED for reserved bits,
 * FRAME_TOO_LARGE for a body over `limitBytes`.
 */
export function readHeader(source: Uint8Array, expected: number, limitBytes: number): FrameHeader {
  const view = new DataView(source.buffer, source.byteOffset, HEADER_BYTES);
  return readHeaderAt(0, view, expected, limitBytes);
}

/** The same for the header at byte `at` of a view that is used again and again. */
export function readHeaderAt(
  at: number,
  view: DataView,
  expected: number,
  limitBytes: number,
): FrameHeader {
  const magic = view.getUint32(at, true);
  if (magic !== MAGIC) throw new MigrationError({ code: "NOT_TRISTAGE", found: magic });
  const type = view.getUint8(at + 4);
  if (type === 0) throw new MigrationError({ code: "FRAME_UNKNOWN", type });
  if (view.getUint16(at + 6, true) !== 0) throw malformed("any", "its reserved bits are set");
  const bodyBytes = view.getUint32(at + 12, true);
  if (bodyBytes > limitBytes) {
    throw new MigrationError({ code: "FRAME_TOO_LARGE", lengthBytes: bodyBytes, limitBytes });
  }
  const sequence = view.getUint32(at + 8, true);
  if (sequence !== expected) {
    throw new MigrationError({ code: "FRAME_OUT_OF_ORDER", sequence, expected });
  }
  return { type, flags: view.getUint8(at + 5), sequence, bodyBytes };
}

export function malformed(frame: string, detail: string): MigrationError {
  return new MigrationError({ code: "FRAME_MALFORMED", frame, detail });
}

/** The sequence number that follows `sequence`. */
export function nextSequence(sequence: number): number {
  return (sequence + 1) >>> 0;
}

/** Header and body in one buffer. */
export function encodeFrame(
  type: number,
  sequence: number,
  body: Uint8Array,
  flags = 0,
): Uint8Array<ArrayBuffer> {
  const frame = new Uint8Array(HEADER_BYTES + body.byteLength);
  writeHeader(new DataView(frame.buffer), { type, flags, sequence, bodyBytes: body.byteLength });
  frame.set(body, HEADER_BYTES);
  return frame;
}

/**
 * Cuts a stream of bytes into frames, however it arrives. Holds at most one frame of `limitBytes`; the
 * limit may be raised once the peer is known.
 */
export class FrameDecoder {
  private sequence = 0;
  private readonly header = new Uint8Array(HEADER_BYTES);
  private filled = 0;
  private current: FrameHeader | undefined;
  private body = new Uint8Array(0);

  constructor(public limitBytes: number) {}

  /** Frames completed by `chunk`, in order. Throws as `readHeader` does; then the stream is lost. */
  *push(chunk: Uint8Array): Generator<Frame> {
    let rest = chunk;
    for (;;) {
      if (this.current === undefined) {
        rest = this.fill(this.header, rest);
        if (this.filled < HEADER_BYTES) return;
        this.current = readHeader(this.header, this.sequence, this.limitBytes);
        this.body = new Uint8Array(this.current.bodyBytes);
        this.filled = 0;
      }
      rest = this.fill(this.body, rest);
      if (this.filled < this.body.byteLength) return;
      const frame = { ...this.current, body: this.body };
      this.sequence = nextSequence(this.sequence);
      this.current = undefined;
      this.filled = 0;
      yield frame;
    }
  }

  /** Bytes that the frame under way still lacks; 0 between frames. */
  get missingBytes(): number {
    if (this.current !== undefined) return this.body.byteLength - this.filled;
    return this.filled === 0 ? 0 : HEADER_BYTES - this.filled;
  }

  private fill(target: Uint8Array, source: Uint8Array): Uint8Array {
    const taken = Math.min(target.byteLength - this.filled, source.byteLength);
    target.set(source.subarray(0, taken), this.filled);
    this.filled += taken;
    return source.subarray(taken);
  }
}
