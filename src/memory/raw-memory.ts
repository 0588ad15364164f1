import { GuestFault, type GuestMemory, type WaitOutcome } from "./access.js";

/** Below this a loop of byte moves is cheaper than making a view for `set`. */
const SHORT_BYTES = 64;

/**
 * Guest memory without tracking: plain loads and stores of a shared buffer. It is the baseline that
 * tracked memory is measured against, and the memory of the guest that was never migrated.
 *
 * `buffer` holds whole 8-byte words. Atomic operations see signed words.
 */
export class RawMemory implements GuestMemory {
  readonly byteLength: number;
  private readonly u8: Uint8Array;
  private readonly u16: Uint16Array;
  private readonly u32: Uint32Array;
  private readonly i32: Int32Array;
  private readonly u64: BigUint64Array;
  private readonly f32: Float32Array;
  private readonly f64: Float64Array;

  constructor(buffer: SharedArrayBuffer) {
    this.byteLength = buffer.byteLength;
    this.u8 = new Uint8Array(buffer);
    this.u16 = new Uint16Array(buffer);
    this.u32 = new Uint32Array(buffer);
    this.i32 = new Int32Array(buffer);
    this.u64 = new BigUint64Array(buffer);
    this.f32 = new Float32Array(buffer);
    this.f64 = new Float64Array(buffer);
  }

  // `index * size !== address` catches what is misaligned, negative, fractional or beyond 4 GiB at
  // once. A load then leaves the bounds to the typed array, which checks them anyway.

  loadU8(address: number): number {
    const value = this.u8[address];
    if (value === undefined) this.trap(address, 1);
    return value;
  }

  loadU16(address: number): number {
    const index = address >>> 1;
    const value = this.u16[index];
    if (index * 2 !== address || value === undefined) this.trap(address, 2);
    return value;
  }

  loadU32(address: number): number {
    const index = address >>> 2;
    const value = this.u32[index];
    if (index * 4 !== address || value === undefined) this.trap(address, 4);
    return value;
  }

  loadI32(address: number): number {
    const index = address >>> 2;
    const value = this.i32[index];
    if (index * 4 !== address || value === undefined) this.trap(address, 4);
    return value;
  }

  loadU64(address: number): bigint {
    const index = address >>> 3;
    const value = this.u64[index];
    if (index * 8 !== address || value === undefined) this.trap(address, 8);
    return value;
  }

  loadF32(address: number): number {
    const index = address >>> 2;
    const value = this.f32[index];
    if (index * 4 !== address || value === undefined) this.trap(address, 4);
    return value;
  }

  loadF64(address: number): number {
    const index = address >>> 3;
    const value = this.f64[index];
    if (index * 8 !== address || value === undefined) this.trap(address, 8);
    return value;
  }

  // A typed array drops a store outside it without a word, so stores compare for themselves.

  store8(address: number, value: number): void {
    const index = address >>> 0;
    if (index !== address || index >= this.u8.length) this.trap(address, 1);
    this.u8[index] = value;
  }

  store16(address: number, value: number): void {
    const index = address >>> 1;
    if (index * 2 !== address || index >= this.u16.length) this.trap(address, 2);
    this.u16[index] = value;
  }

  store32(address: number, value: number): void {
    const index = address >>> 2;
    if (index * 4 !== address || index >= this.u32.length) this.trap(address, 4);
    this.u32[index] = value;
  }

  store64(address: number, value: bigint): void {
    const index = address >>> 3;
    if (index * 8 !== address || index >= this.u64.length) this.trap(address, 8);
    this.u64[index] = value;
  }

  storeF32(address: number, value: number): void {
    const index = address >>> 2;
    if (index * 4 !== address || index >= this.f32.length) this.trap(address, 4);
    this.f32[index] = value;
  }

  storeF64(address: number, value: number): void {
    const index = address >>> 3;
    if (index * 8 !== address || index >= this.f64.length) this.trap(address, 8);
    this.f64[index] = value;
  }

  readBytes(address: number, target: Uint8Array): void {
    const { length } = target;
    this.checkRange(address, length);
    if (length > SHORT_BYTES) {
      target.set(this.u8.subarray(address, address + length));
      return;
    }
    for (let i = 0; i < length; i++) target[i] = this.u8[address + i]!;
  }

  writeBytes(address: number, source: Uint8Array): void {
    const { length } = source;
    this.checkRange(address, length);
    if (length > SHORT_BYTES) {
      this.u8.set(source, address);
      return;
    }
    for (let i = 0; i < length; i++) this.u8[address + i] = source[i]!;
  }

  fill(address: number, byteCount: number, value: number): void {
    this.checkRange(address, byteCount);
    this.u8.fill(value, address, address + byteCount);
  }

  atomicLoad32(address: number): number {
    return Atomics.load(this.i32, this.wordIndex(address));
  }

  atomicStore32(address: number, value: number): void {
    Atomics.store(this.i32, this.wordIndex(address), value);
  }

  atomicAdd32(address: number, value: number): number {
    return Atomics.add(this.i32, this.wordIndex(address), value);
  }

  atomicCompareExchange32(address: number, expected: number, replacement: number): number {
    return Atomics.compareExchange(this.i32, this.wordIndex(address), expected, replacement);
  }

  wait32(address: number, expected: number, timeoutMs: number): WaitOutcome {
    return Atomics.wait(this.i32, this.wordIndex(address), expected, timeoutMs);
  }

  notify32(address: number, count: number): number {
    return Atomics.notify(this.i32, this.wordIndex(address), count);
  }

  private wordIndex(address: number): number {
    const index = address >>> 2;
    if (index * 4 !== address || index >= this.i32.length) this.trap(address, 4);
    return index;
  }

  private checkRange(address: number, byteCount: number): void {
    const inside = address >= 0 && byteCount >= 0 && address + byteCount <= this.byteLength;
    if (!inside || !Number.isInteger(address)) this.trap(address, byteCount);
  }

  private trap(address: number, byteCount: number): never {
    throw new GuestFault(address, byteCount, this.byteLength);
  }
}
