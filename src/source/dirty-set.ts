import { AtomicPageBitmap, PageBitmap } from "../memory/bitmap.js";
import { openEpoch } from "../memory/epoch.js";
import type { GuestRam } from "../memory/ram.js";
import { EpochTracker } from "../memory/tracker.js";
import { encodeMessage } from "../protocol/codec.js";
import type { MigrationTables } from "./migration-tables.js";

/** Enough for the compiler to take the loops seriously; more would only keep the guest from leaving. */
const REHEARSALS = 5;

/** Finds the pages that the destination lacks. */
export class DirtySet {
  private readonly tracker: EpochTracker;

  constructor(
    private readonly ram: GuestRam,
    private readonly tables: MigrationTables,
  ) {
    this.tracker = new EpochTracker(ram, tables.handle.marks);
  }

  /**
   * Pages written since their chunk was marked, and those that must be sent again. Exact once the guest stands
   * still: every vCPU's last stamp happened before it said so.
   */
  collect(): PageBitmap {
    const dirty = PageBitmap.empty(this.ram.pageCount);
    this.tracker.addWritten(dirty);
    this.tables.resend.addTo(dirty);
    return dirty;
  }

  /**
   * Opens an epoch, and marks with it the pages that `choose` names once it holds: what was written before
   * is seen by then, and what is written later counts as written since. Resolves with both.
   */
  async mark(choose: () => PageBitmap): Promise<{ epoch: number; pages: PageBitmap }> {
    const epoch = openEpoch(this.ram.words);
    await this.tracker.whenObeyed(epoch);
    const pages = choose();
    this.tracker.markPages(pages, epoch);
    return { epoch, pages };
  }

  /**
   * Collects and encodes while the guest still runs: code that runs for the first time is compiled
   * as it runs, and the guest need not wait for that.
   */
  rehearse(): void {
    const { bitmap: planned } = AtomicPageBitmap.create(this.ram.pageCount);
    for (let round = 0; round < REHEARSALS; round += 1) {
      const dirty = this.collect();
      planned.assign(dirty);
      const bytes = dirty.toBytes();
      encodeMessage("switchover", { generation: 1, cpus: [], operations: [], dirty: bytes }, 0);
    }
  }
}
