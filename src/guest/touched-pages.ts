import type { WaitOutcome } from "../memory/access.js";
import type { EpochMember } from "../memory/epoch.js";
import type { GuestRam } from "../memory/ram.js";
import { TrackedMemory, type VcpuWaits } from "../memory/tracked-memory.js";

/** With no stamp that could say that a page is present, every access takes the slow path. */
const NO_STAMPS = new Int32Array(0);

/**
 * Guest memory that writes down which pages are touched; for operations whose pages somebody wants to know, not for
 * every day. It is a `TrackedMemory`, so that a program's code, which V8 compiled for one, serves both.
 */
export class TouchedPages implements VcpuWaits {
  readonly memory: TrackedMemory;
  private readonly pages = new Set<number>();

  constructor(
    private readonly ram: GuestRam,
    private readonly epoch: EpochMember,
    private readonly waits: VcpuWaits,
  ) {
    this.memory = new TrackedMemory(ram, epoch, this, NO_STAMPS);
  }

  /**
   * The pages touched since the last call, in the order of their first touch. To be called before the vCPU says that it
   * stands: only now do the pages get their stamps, those that were only read as well, since the slow path does not know
   * one from the other. A wait within the operation is a safepoint before the stamp, so that the stamp may be newer than
   * the store: then a page counts as written once more, but never as unwritten.
   */
  take(): readonly number[] {
    const pages = [...this.pages];
    this.pages.clear();
    for (const page of pages) {
      // What is not published stays so: see `TrackedMemory`.
      if (this.isPublished(page)) this.ram.stamps[page] = this.epoch.current;
    }
    return pages;
  }

  awaitPage(page: number): void {
    this.pages.add(page);
    if (!this.isPublished(page)) this.waits.awaitPage(page);
  }

  foundPage(page: number): void {
    this.pages.add(page);
    if (!this.isPublished(page)) this.waits.foundPage(page);
  }

  futexWait(words: Int32Array, index: number, expected: number, timeoutMs: number): WaitOutcome {
    return this.waits.futexWait(words, index, expected, timeoutMs);
  }

  private isPublished(page: number): boolean {
    return this.ram.stamps[page]! >= 0;
  }
}
