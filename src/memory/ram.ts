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
  /** Not one with `memory`, which may be as large as a memory can be. */
  readonly tables: WebAssembly.Memory;
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
  /** A word and a bit for each page, for whoever goes over the tables: see page-tables.ts. */
  readonly slate: { readonly words: Int32Array; readonly bits: Int32Array };

  constructor(readonly handle: RamHandle) {
    this.buffer = sharedBufferOf(handle.memory);
    this.byteLength = this.buffer.byteLength;
    this.pageCount = pageCountOf(this.byteLength);
    this.vcpuCount = handle.vcpuCount;
    const tables = sharedBufferOf(handle.tables);
    const layout = layOut(this.pageCount, this.vcpuCount);
    this.words = new Int32Array(tables, layout.words, wordCount(this.vcpuCount));
    this.stamps = new Int32Array(tables, layout.stamps, this.pageCount);
    this.absent = new Int32Array(tables, layout.absent, this.pageCount);
    this.arrived = new AtomicPageBitmap(this.pageCount, tables, layout.arrived);
    this.slate = {
      words: new Int32Array(tables, layout.slateWords, this.pageCount),
      bits: new Int32Array(tables, layout.slateBits, bitmapBytes(this.pageCount) / 4),
    };
  }

  /** Fresh zero memory; the kernel gives it pages as they are touched. Throws RangeError when it cannot. */
  static allocate(ramBytes: number, vcpuCount: number): GuestRam {
    if (!isRamSize(ramBytes))
      throw new RangeError(`${String(ramBytes)} bytes cannot be guest memory`);
    if (!Number.isInteger(vcpuCount) || vcpuCount < 1 || vcpuCount > MAX_VCPUS) {
      throw new RangeError(`a guest cannot have ${String(vcpuCount)} vCPUs`);
    }
    const memory = allocateShared(ramBytes);
    const tables = allocateShared(layOut(pageCountOf(ramBytes), vcpuCount).bytes);
    const ram = new GuestRam({ memory, tables, vcpuCount });
    ram.absent.fill(ABSENT);
    Atomics.store(ram.words, GUEST_WORDS.EPOCH, FIRST_EPOCH);
    for (let vcpu = 0; vcpu < vcpuCount; vcpu += 1) {
      Atomics.store(ram.words, vcpuWords(vcpu) + VCPU_WORDS.ACKNOWLEDGED, QUIESCENT);
    }
    return ram;
  }
}

/** Each table begins with a cache line, and so also where a kernel's vectors do. */
const TABLE_GRAIN_BYTES = 64;

function layOut(pageCount: number, vcpuCount: number) {
  let bytes = 0;
  const next = (tableBytes: number) => {
    const at = bytes;
    bytes += Math.ceil(tableBytes / TABLE_GRAIN_BYTES) * TABLE_GRAIN_BYTES;
    return at;
  };
  const words = next(wordCount(vcpuCount) * 4);
  const stamps = next(pageCount * 4);
  const absent = next(pageCount * 4);
  const arrived = next(bitmapBytes(pageCount));
  const slateWords = next(pageCount * 4);
  const slateBits = next(bitmapBytes(pageCount));
  return { words, stamps, absent, arrived, slateWords, slateBits, bytes };
}

/** At least so many bytes, all zero. WebAssembly counts memory by the grain of guest memory. */
function allocateShared(bytes: number): WebAssembly.Memory {
  const units = Math.ceil(bytes / RAM_GRAIN_BYTES);
  return new WebAssembly.Memory({ initial: units, maximum: units, shared: true });
}

/** Of a fixed size, so it has this one buffer for life. */
function sharedBufferOf(memory: WebAssembly.Memory): SharedArrayBuffer {
  return memory.buffer as unknown as SharedArrayBuffer;
}
