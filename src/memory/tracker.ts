import type { PageBitmap } from "./bitmap.js";
import { epochHolds, openEpoch, whenEpochHolds } from "./epoch.js";
import type { PageRange } from "./geometry.js";
import { PageTables } from "./page-tables.js";
import type { GuestRam } from "./ram.js";

/** Which pages were written since a mark. Every backend passes the same tests. */
export interface WriteTracker {
  /** From now on, writes to `range` count. Resolves when every vCPU is known to obey. */
  mark(range: PageRange): Promise<void>;
  /** Adds to `out` the pages written since their last mark, or never marked. Exact once the guest is paused. */
  addWritten(out: PageBitmap): void;
}

/**
 * Tracks by epoch stamps (see epoch.ts). Nothing is cleared, so any number of trackers read the same
 * stamps at once. Threads that share one tracker give each its `marks`; a page is marked by one
 * thread, and read by another only after a message from the first.
 *
 * Begins where the guest is whole: while pages are `ABSENT` their writes leave no stamp.
 */
export class EpochTracker implements WriteTracker {
  /** Per page, the epoch of its last mark. */
  private readonly marks: Int32Array;
  /** Of the one thread that goes over all pages. */
  private tables: PageTables | undefined;

  constructor(
    private readonly ram: GuestRam,
    marks = EpochTracker.createMarks(ram.pageCount),
  ) {
    this.marks = new Int32Array(marks);
  }

  static createMarks(pageCount: number): SharedArrayBuffer {
    return new SharedArrayBuffer(pageCount * 4);
  }

  async mark(range: PageRange): Promise<void> {
    await this.whenObeyed(this.beginMark(range));
  }

  /** The first half of `mark`: returns the epoch to wait for, so that work can go on meanwhile. */
  beginMark({ firstPage, pageCount }: PageRange): number {
    const epoch = openEpoch(this.ram.words);
    this.marks.fill(epoch, firstPage, firstPage + pageCount);
    return epoch;
  }

  /** The second half of `mark`. */
  async whenObeyed(epoch: number): Promise<void> {
    await this.whenHolds(epoch);
    // One vCPU may cover the stamp of another: see epoch.ts.
    if (this.ram.vcpuCount > 1) await this.whenHolds(openEpoch(this.ram.words));
  }

  /** Marks each of `pages` with an epoch that holds already. */
  markPages(pages: PageBitmap, epoch: number): void {
    pages.setInTable(this.marks, epoch);
  }

  addWritten(out: PageBitmap): void {
    this.tables ??= new PageTables(this.ram);
    this.tables.addWritten(this.marks, out);
  }

  /** Whether `page` was written since its mark; while the guest runs, "no" may be out of date. */
  wasWritten(page: number, stamps = this.ram.stamps): boolean {
    return (stamps[page] ?? 0) >= (this.marks[page] ?? 0);
  }

  private async whenHolds(epoch: number): Promise<void> {
    if (epochHolds(this.ram.words, this.ram.vcpuCount, epoch)) return;
    await whenEpochHolds(this.ram.words, this.ram.vcpuCount, epoch);
  }
}
