import type { WaitOutcome } from "../memory/access.js";
import type { EpochMember } from "../memory/epoch.js";
import { PAGE_BYTES } from "../memory/geometry.js";
import type { GuestRam } from "../memory/ram.js";
import { TrackedMemory, type VcpuWaits } from "../memory/tracked-memory.js";

/**
 * Guest memory that writes down which pages are touched; for operations whose pages somebody wants to know, not for
 * every day. It is a `TrackedMemory`, so that a program's code, which V8 compiled for one, serves both; and by its stamps every
 * page is absent, so that every access takes the slow path. (No stamps at all would do as much. But then V8 would have to
 * throw the guest's code away, or to compile it for accesses beyond memory in the first place.)
 */
export class TouchedPages implements VcpuWaits {
  readonly memory: TrackedMemory;
  private readonly bytes: Uint8Array;
  /** What each page held when it was touched first: the slow path does not know a store from a load. */
  private readonly before = new Map<number, Uint8Array>();

  constructor(
    private readonly ram: GuestRam,
    private readonly epoch: EpochMember,
    private readonly waits: VcpuWaits,
  ) {
    this.bytes = new Uint8Array(ram.buffer);
    this.memory = new TrackedMemory(ram, epoch, this, ram.absent);
  }

  /**
   * The pages touched since the last call, in the order of their first touch. To be called before the vCPU says that it
   * stands, since only now do those that were written get their stamps. A wait within the operation is a safepoint before
   * the stamp, so that the stamp may be newer than the store: then a page counts as written once more, never as unwritten.
   */
  take(): readonly number[] {
    const { stamps } = this.ram;
    for (const [page, before] of this.before) {
      // What is not published stays so: see `TrackedMemory`. Another vCPU may be who wrote; one stamp too many does no harm.
      if (this.isPublished(page) && Buffer.compare(before, this.view(page)) !== 0) {
        stamps[page] = this.epoch.current;
      }
    }
    const pages = [...this.before.keys()];
    this.before.clear();
    return pages;
  }

  awaitPage(page: number): void {
    if (!this.isPublished(page)) this.waits.awaitPage(page);
    this.note(page);
  }

  foundPage(page: number): void {
    if (!this.isPublished(page)) this.waits.foundPage(page);
    this.note(page);
  }

  futexWait(words: Int32Array, index: number, expected: number, timeoutMs: number): WaitOutcome {
    return this.waits.futexWait(words, index, expected, timeoutMs);
  }

  private note(page: number): void {
    if (!this.before.has(page)) this.before.set(page, this.view(page).slice());
  }

  private view(page: number): Uint8Array {
    return this.bytes.subarray(page * PAGE_BYTES, (page + 1) * PAGE_BYTES);
  }

  private isPublished(page: number): boolean {
    return this.ram.stamps[page]! >= 0;
  }
}
