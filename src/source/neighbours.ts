import type { PageBitmap } from "../memory/bitmap.js";
import type { Fault } from "./channel-contract.js";
import type { MigrationTables } from "./migration-tables.js";
import { PrepullWindow } from "./prepull-window.js";

/** Says which dirty pages are worth sending along with one that a vCPU waits for. */
export class Neighbours {
  private readonly windows: readonly PrepullWindow[];

  constructor(
    private readonly dirty: PageBitmap,
    vcpuCount: number,
    private readonly tables: MigrationTables,
  ) {
    this.windows = Array.from({ length: vcpuCount }, () => new PrepullWindow(dirty.pageCount));
  }

  /** Of the page that was asked for; nearest first, without those that are on their way. */
  of({ page, vcpu, hits }: Fault): Uint32Array {
    const wanted = (near: number) => this.dirty.has(near) && !this.tables.queued.has(near);
    return Uint32Array.from(this.windows[vcpu]?.follow(page, hits, wanted) ?? []);
  }
}
