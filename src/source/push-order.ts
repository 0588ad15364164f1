import type { MigrationTables } from "./migration-tables.js";

/**
 * The order in which dirty pages leave in stage three: from the last fault on upwards, and round. Every bulk
 * channel takes from it in its own thread, and the urgent one tells it of faults.
 *
 * That no page is sent twice, and none is left out, comes from the claims in `queued` alone. The cursor is a hint:
 * where two threads move it at once, one of the two places is forgotten, and its pages come later.
 */
export class PushOrder {
  constructor(private readonly tables: MigrationTables) {}

  /** A vCPU waits for `page`: what lies behind it is likely to be touched next. */
  faulted(page: number): void {
    this.tables.pushCursor = page;
  }

  /** Claims the next pages, ascending; none once every page is claimed. */
  claim(maxPages: number): readonly number[] {
    const { tables } = this;
    const from = tables.pushCursor;
    const ahead = tables.queued.claimFrom(tables.planned, from, maxPages);
    const pages = ahead.length > 0 ? ahead : tables.queued.claimFrom(tables.planned, 0, maxPages);
    const last = pages.at(-1);
    if (last !== undefined) tables.pushCursor = (last + 1) % tables.handle.pageCount;
    return pages;
  }
}
