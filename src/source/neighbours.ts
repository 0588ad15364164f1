import type { MigrationTables } from "./migration-tables.js";
import { PrepullWindow } from "./prepull-window.js";

/** A vCPU of the destination asked for `page`, having touched `hits` prepulled pages so far. */
export interface Fault {
  readonly page: number;
  readonly vcpu: number;
  readonly hits: number;
}

/** Says which dirty pages are worth sending along with one that a vCPU waits for. */
export class Neighbours {
  private readonly windows: readonly PrepullWindow[];

  constructor(
    private readonly tables: MigrationTables,
    vcpuCount: number,
  ) {
    const { pageCount } = tables.handle;
    this.windows = Array.from({ length: vcpuCount }, () => new PrepullWindow(pageCount));
  }

  /** Of the page that was asked for; nearest first, without those that are on their way. None before the push has begun. */
  of({ page, vcpu, hits }: Fault): readonly number[] {
    const { planned, queued } = this.tables;
    const wanted = (near: number) => planned.has(near) && !queued.has(near);
    return this.windows[vcpu]?.follow(page, hits, wanted) ?? [];
  }
}
