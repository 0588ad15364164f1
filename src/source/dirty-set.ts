import { PageBitmap } from "../memory/bitmap.js";
import { everyPage } from "../memory/geometry.js";
import type { GuestRam } from "../memory/ram.js";
import { EpochTracker } from "../memory/tracker.js";
import { encodeMessage } from "../protocol/codec.js";
import type { MigrationTables } from "./migration-tables.js";

/** Finds the pages that stage three has to send. */
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
    this.tracker.written(everyPage(this.ram.byteLength), dirty);
    this.tables.resend.addTo(dirty);
    return dirty;
  }

  /**
   * Collects and encodes once while the guest still runs: code that runs for the first time is compiled
   * as it runs, and the guest need not wait for that.
   */
  rehearse(): void {
    const dirty = this.collect().toBytes();
    encodeMessage("switchover", { generation: 1, cpus: [], operations: [], dirty }, 0);
  }
}
