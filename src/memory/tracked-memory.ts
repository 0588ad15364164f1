import { type GuestMemory, GuestFault, type WaitOutcome } from "./access.js";
import type { EpochMember } from "./epoch.js";
import { PAGE_BYTES, PAGE_SHIFT } from "./geometry.js";
import type { GuestRam } from "./ram.js";

/** What an access does that cannot go on by itself. Blocks the vCPU's thread. */
export interface VcpuWaits {
  /** Returns once the bytes of `page` are here and visible to this thread. */
  awaitPage(page: number): void;
  /** `page` was touched, is here, and is not published yet. */
  foundPage(page: number): void;
  /** Sleeps on a futex of the guest; see `GuestMemory.wait32`. */
  futexWait(words: Int32Array, index: number, expected: number, timeoutMs: number): WaitOutcome;
}

/**
 * Guest memory as one vCPU sees it, under epoch-stamped write tracking.
 *
 * The fast path of an access is one plain load of the page's stamp, one compare, the access, and for a
 * store one plain store of the stamp. The compare `stamp >= 0` is false both for `ABSENT` and for the
 * `undefined` of a page outside memory. A second compare, of the address with the one that the index
 * stands for, catches what is misaligned, fractional or beyond 4 GiB at once. What makes the plain
 * accesses sound stands in epoch.ts.
 *
 * While a stamp is `ABSENT` a vCPU must not change it: the page is not published. A store on that
 * path leaves no stamp, which nobody misses, since tracking begins where the guest is whole (tracker.ts).
 */
export class TrackedMemory implements GuestMemory {
  readonly byteLength: number;
  private readonly u8: Uint8Array;
  private readonly u16: Uint16Array;
  private readonly u32: Uint32Array;
  private readonly i32: Int32Array;
  private readonly u64: BigUint64Array;
  private readonly f32: Float32Array;
  private readonly f64: Float64Array;

  constructor(
    private readonly ram: GuestRam,
    private readonly epoch: EpochMember,
    private readonly waits: VcpuWaits,
    private readonly stamps: Int32Array = ram.stamps,
  ) {
    this.byteLength = ram.byteLength;
    this.u8 = new Uint8Array(ram.buffer);
    this.u16 = new Uint16Array(ram.buffer);
    this.u32 = new Uint32Array(ram.buffer);
    this.i32 = new Int32Array(ram.buffer);
    this.u64 = new BigUint64Array(ram.buffer);
    this.f32 = new Float32Array(ram.buffer);
    this.f64 = new Float64Array(ram.buffer);
  }

  loadU8(address: number): number {
    if (!(this.stamps[address >>> PAGE_SHIFT]! >= 0)) this.bring(address, 1);
    if (address >>> 0 !== address) this.trap(address, 1);
    return this.u8[address]!;
  }

  loadU16(address: number): number {
    if (!(this.stamps[address >>> PAGE_SHIFT]! >= 0)) this.bring(address, 2);
    if ((address >>> 1) * 2 !== address) this.trap(address, 2);
    return this.u16[address >>> 1]!;
  }

  loadU32(address: number): number {
    if (!(this.stamps[address >>> PAGE_SHIFT]! >= 0)) this.bring(address, 4);
    if ((address >>> 2) * 4 !== address) this.trap(address, 4);
    return this.u32[address >>> 2]!;
  }

  loadI32(address: number): number {
    if (!(this.stamps[address >>> PAGE_SHIFT]! >= 0)) this.bring(address, 4);
    if ((address >>> 2) * 4 !== address) this.trap(address, 4);
    return this.i32[address >>> 2]!;
  }

  loadU64(address: number): bigint {
    if (!(this.stamps[address >>> PAGE_SHIFT]! >= 0)) this.bring(address, 8);
    if ((address >>> 3) * 8 !== address) this.trap(address, 8);
    return this.u64[address >>> 3]!;
  }

  loadF32(address: number): number {
    if (!(this.stamps[address >>> PAGE_SHIFT]! >= 0)) this.bring(address, 4);
    if ((address >>> 2) * 4 !== address) this.trap(address, 4);
    return this.f32[address >>> 2]!;
  }

  loadF64(address: number): number {
    if (!(this.stamps[address >>> PAGE_SHIFT]! >= 0)) this.bring(address, 8);
    if ((address >>> 3) * 8 !== address) this.trap(address, 8);
    return this.f64[address >>> 3]!;
  }

  store8(address: number, value: number): void {
    const page = address >>> PAGE_SHIFT;
    const published = this.stamps[page]! >= 0 || this.bring(address, 1);
    if (address >>> 0 !== address) this.trap(address, 1);
    this.u8[address] = value;
    if (published) this.stamps[page] = this.epoch.current;
  }

  store16(address: number, value: number): void {
    const page = address >>> PAGE_SHIFT;
    const published = this.stamps[page]! >= 0 || this.bring(address, 2);
    if ((address >>> 1) * 2 !== address) this.trap(address, 2);
    this.u16[address >>> 1] = value;
    if (published) this.stamps[page] = this.epoch.current;
  }

  store32(address: number, value: number): void {
    const page = address >>> PAGE_SHIFT;
    const published = this.stamps[page]! >= 0 || this.bring(address, 4);
    if ((address >>> 2) * 4 !== address) this.trap(address, 4);
    this.i32[address >>> 2] = value;
    if (published) this.stamps[page] = this.epoch.current;
  }

  store64(address: number, value: bigint): void {
    const page = address >>> PAGE_SHIFT;
    const published = this.stamps[page]! >= 0 || this.bring(address, 8);
    if ((address >>> 3) * 8 !== address) this.trap(address, 8);
    this.u64[address >>> 3] = value;
    if (published) this.stamps[page] = this.epoch.current;
  }

  storeF32(address: number, value: number): void {
    const page = address >>> PAGE_SHIFT;
    const published = this.stamps[page]! >= 0 || this.bring(address, 4);
    if ((address >>> 2) * 4 !== address) this.trap(address, 4);
    this.f32[address >>> 2] = value;
    if (published) this.stamps[page] = this.epoch.current;
  }

  storeF64(address: number, value: number): void {
    const page = address >>> PAGE_SHIFT;
    const published = this.stamps[page]! >= 0 || this.bring(address, 8);
    if ((address >>> 3) * 8 !== address) this.trap(address, 8);
    this.f64[address >>> 3] = value;
    if (published) this.stamps[page] = this.epoch.current;
  }

  readBytes(address: number, target: Uint8Array): void {
    this.checkRange(address, target.byteLength);
    this.bringRange(address, target.byteLength);
    target.set(this.u8.subarray(address, address + target.byteLength));
  }

  writeBytes(address: number, source: Uint8Array): void {
    this.checkRange(address, source.byteLength);
    this.bringRange(address, source.byteLength);
    this.u8.set(source, address);
    this.stampRange(address, source.byteLength);
  }

  fill(address: number, byteCount: number, value: number): void {
    if (byteCount < 0) this.trap(address, byteCount);
    this.checkRange(address, byteCount);
    this.bringRange(address, byteCount);
    this.u8.fill(value, address, address + byteCount);
    this.stampRange(address, byteCount);
  }

  atomicLoad32(address: number): number {
    return Atomics.load(this.i32, this.atomicIndex(address));
  }

  atomicStore32(address: number, value: number): void {
    Atomics.store(this.i32, this.atomicIndex(address), value);
    this.stampRange(address, 4);
  }

  atomicAdd32(address: number, value: number): number {
    const old = Atomics.add(this.i32, this.atomicIndex(address), value);
    this.stampRange(address, 4);
    return old;
  }

  atomicCompareExchange32(address: number, expected: number, replacement: number): number {
    const index = this.atomicIndex(address);
    const old = Atomics.compareExchange(this.i32, index, expected, replacement);
    this.stampRange(address, 4);
    return old;
  }

  wait32(address: number, expected: number, timeoutMs: number): WaitOutcome {
    return this.waits.futexWait(this.i32, this.atomicIndex(address), expected, timeoutMs);
  }

  notify32(address: number, count: number): number {
    return Atomics.notify(this.i32, this.atomicIndex(address), count);
  }

  /**
   * The slow path: brings a page that is not published, or traps. Answers whether it is published now. While a vCPU waits
   * here it keeps no epoch up, so the page may be published and even marked by a migration that begins: then the write has
   * to leave its stamp. The epoch that such a vCPU takes up again orders the publisher's store of the stamp before this load.
   */
  private bring(address: number, byteCount: number): boolean {
    const page = address >>> PAGE_SHIFT;
    if (page >= this.ram.pageCount) this.trap(address, byteCount);
    // The atomic load of the bit synchronizes with the thread that filled the page before it set it.
    if (this.ram.arrived.has(page)) this.waits.foundPage(page);
    else this.waits.awaitPage(page);
    return this.stamps[page]! >= 0;
  }

  private trap(address: number, byteCount: number): never {
    throw new GuestFault(address, byteCount, this.byteLength);
  }

  private atomicIndex(address: number): number {
    if (!(this.stamps[address >>> PAGE_SHIFT]! >= 0)) this.bring(address, 4);
    if ((address >>> 2) * 4 !== address) this.trap(address, 4);
    return address >>> 2;
  }

  private checkRange(address: number, byteCount: number): void {
    if (Number.isInteger(address) && address >= 0 && address + byteCount <= this.byteLength) return;
    this.trap(address, byteCount);
  }

  private bringRange(address: number, byteCount: number): void {
    if (byteCount === 0) return;
    for (let at = address - (address % PAGE_BYTES); at < address + byteCount; at += PAGE_BYTES) {
      if (!(this.stamps[at >>> PAGE_SHIFT]! >= 0)) this.bring(at, 1);
    }
  }

  /** After a write: stamps each page of the range that is published. */
  private stampRange(address: number, byteCount: number): void {
    if (byteCount === 0) return;
    const end = address + byteCount;
    for (let at = address - (address % PAGE_BYTES); at < end; at += PAGE_BYTES) {
      const page = at >>> PAGE_SHIFT;
      if (this.stamps[page]! >= 0) this.stamps[page] = this.epoch.current;
    }
  }
}
