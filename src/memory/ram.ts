import { AtomicPageBitmap, bitmapBytes } from "./bitmap.js";
import { isRamSize, MAX_VCPUS, pageCountOf, RAM_GRAIN_BYTES } from "./geometry.js";
import {
  ABSENT,
  FIRST_EPOCH,
  GUEST_WORDS,
  QUIESCENT,
  VCPU_WORDS,
  vcpuWords,
  wordCount,
} from "./words.js";

/** Guest memory as it is handed to a thread: structured clone shares it, never copies it. */
export interface RamHandle {
  readonly memory: WebAssembly.Memory;
  readonly tables: SharedArrayBuffer;
  readonly vcpuCount: number;
}

/** A guest's memory and its shared tables. Every thread opens a `GuestRam` on the same handle. */
export class GuestRam {
  readonly buffer: SharedArrayBuffer;
  readonly byteLength: number;
  readonly pageCount: number;
  readonly vcpuCount: number;
  /** See words.ts. */
  readonly words: Int32Array;
  /** Per page, the epoch in which it was last written, or `ABSENT`. Plain accesses: see epoch.ts. */
  readonly stamps: Int32Array;
  /** Per page, `ABSENT`. Never written by anybody: see guest/touched-pages.ts. */
  readonly absent: Int32Array;
  /** Pages whose bytes are here although their stamp still says `ABSENT`. */
  readonly arrived: AtomicPageBitmap;

  constructor(readonly handle: RamHandle) {
    // A shared WebAssembly memory of a fixed size has one buffer for life.
    this.buffer = handle.memory.buffer as unknown as SharedArrayBuffer;
    this.byteLength = this.buffer.byteLength;
    this.pageCount = pageCountOf(this.byteLength);
    this.vcpuCount = handle.vcpuCount;
    const layout = layOut(this.pageCount, this.vcpuCount);
    this.words = new Int32Array(handle.tables, layout.words, wordCount(this.vcpuCount));
    this.stamps = new Int32Array(handle.tables, layout.stamps, this.pageCount);
    this.absent = new Int32Array(handle.tables, layout.absent, this.pageCount);
    this.arrived = new AtomicPageBitmap(this.pageCount, handle.tables, layout.arrived);
  }

  /** Fresh zero memory; the kernel gives it pages as they are touched. Throws RangeError when it cannot. */
  static allocate(ramBytes: number, vcpuCount: number): GuestRam {
    if (!isRamSize(ramBytes))
      throw new RangeError(`${String(ramBytes)} bytes cannot be guest memory`);
    if (!Number.isInteger(vcpuCount) || vcpuCount < 1 || vcpuCount > MAX_VCPUS) {
      throw new RangeError(`a guest cannot have ${String(vcpuCount)} vCPUs`);
    }
    const units = ramBytes / RAM_GRAIN_BYTES;
    const memory = new WebAssembly.Memory({ initial: units, maximum: units, shared: true });
    const tables = new SharedArrayBuffer(layOut(pageCountOf(ramBytes), vcpuCount).bytes);
    const ram = new GuestRam({ memory, tables, vcpuCount });
    ram.absent.fill(ABSENT);
    Atomics.store(ram.words, GUEST_WORDS.EPOCH, FIRST_EPOCH);
    for (let vcpu = 0; vcpu < vcpuCount; vcpu += 1) {
      Atomics.store(ram.words, vcpuWords(vcpu) + VCPU_WORDS.ACKNOWLEDGED, QUIESCENT);
    }
    return ram;
  }
}

function layOut(pageCount: number, vcpuCount: number) {
  const words = 0;
  const stamps = words + wordCount(vcpuCount) * 4;
  const absent = stamps + pageCount * 4;
  const arrived = absent + pageCount * 4;
  return { words, stamps, absent, arrived, bytes: arrived + bitmapBytes(pageCount) };
}
