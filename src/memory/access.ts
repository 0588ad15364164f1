/**
 * What a guest program sees of its memory.
 *
 * Addresses are bytes from 0; a typed access must be aligned to its size. An access outside memory or
 * out of alignment throws a `GuestFault`, as a processor would trap. Values are little-endian.
 *
 * Plain loads and stores of different vCPUs race as they do on hardware; vCPUs that share data use the
 * `atomic…` operations and `wait32`/`notify32`.
 */
export interface GuestMemory {
  readonly byteLength: number;

  loadU8(address: number): number;
  loadU16(address: number): number;
  loadU32(address: number): number;
  loadI32(address: number): number;
  loadU64(address: number): bigint;
  loadF32(address: number): number;
  loadF64(address: number): number;

  store8(address: number, value: number): void;
  store16(address: number, value: number): void;
  store32(address: number, value: number): void;
  store64(address: number, value: bigint): void;
  storeF32(address: number, value: number): void;
  storeF64(address: number, value: number): void;

  /** Fills `target` from guest memory at `address`; any alignment. */
  readBytes(address: number, target: Uint8Array): void;
  /** Copies `source` into guest memory at `address`; any alignment. */
  writeBytes(address: number, source: Uint8Array): void;
  /** Sets `byteCount` bytes at `address` to `value`; any alignment. */
  fill(address: number, byteCount: number, value: number): void;

  /** The atomic operations take and return signed words. */
  atomicLoad32(address: number): number;
  atomicStore32(address: number, value: number): void;
  /** Adds and returns the old value. */
  atomicAdd32(address: number, value: number): number;
  /** Stores `replacement` if the word holds `expected`; returns the old value. */
  atomicCompareExchange32(address: number, expected: number, replacement: number): number;

  /**
   * Sleeps while the signed word at `address` holds `expected`, at most `timeoutMs` milliseconds. Like a futex it
   * may wake early (`"interrupted"`, when the vCPU is wanted at a safepoint): `step` should then
   * return and try again in its next call.
   */
  wait32(address: number, expected: number, timeoutMs: number): WaitOutcome;
  /** Wakes at most `count` vCPUs that wait on `address`; returns how many woke. */
  notify32(address: number, count: number): number;
}

export type WaitOutcome = "ok" | "not-equal" | "timed-out" | "interrupted";

/** An access that a processor would trap: outside memory, or not aligned to its size. */
export class GuestFault extends Error {
  override readonly name = "GuestFault";
  constructor(
    readonly address: number,
    readonly byteCount: number,
    ramBytes: number,
  ) {
    super(
      `guest access of ${String(byteCount)} bytes at address ${String(address)} is outside its ` +
        `${String(ramBytes)} bytes of memory or not aligned to ${String(byteCount)} bytes`,
    );
  }
}
