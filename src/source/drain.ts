import PQueue from "p-queue";
import type { PageBitmap } from "../memory/bitmap.js";
import { PURPOSE } from "../protocol/pages.js";
import type { Fault } from "./channel-contract.js";
import { type ChannelPool, COMMANDS_PER_CHANNEL } from "./channel-pool.js";
import type { MigrationTables } from "./migration-tables.js";
import { PrepullWindow } from "./prepull-window.js";
import { PushOrder } from "./push-order.js";
import type { Tuning } from "./tuning.js";

const PRIORITY = { PREPULL: 1, PUSH: 0 } as const;

/** What stage three is about. */
export interface DrainPlan {
  readonly dirty: PageBitmap;
  /** The epochs of the last writes. */
  readonly stamps: Int32Array;
  readonly vcpuCount: number;
  readonly channelCount: number;
  /** Pages of a batch. */
  readonly batchPages: number;
  readonly tuning: Tuning;
}

/**
 * Stage three at the source: keeps the bulk channels busy with batches of dirty pages. Requested pages do
 * not come by here: the urgent thread answers them itself, and only tells afterwards, so that their
 * neighbours go before what is pushed.
 */
export class Drain {
  private readonly order: PushOrder;
  private readonly windows: readonly PrepullWindow[];
  private readonly queue: PQueue;

  constructor(
    private readonly plan: DrainPlan,
    private readonly tables: MigrationTables,
    private readonly pool: ChannelPool,
  ) {
    const { dirty, stamps, vcpuCount, channelCount, tuning } = plan;
    this.order = new PushOrder(dirty, stamps, tuning.order);
    this.windows = Array.from({ length: vcpuCount }, () => new PrepullWindow(dirty.pageCount));
    this.queue = new PQueue({ concurrency: channelCount * COMMANDS_PER_CHANNEL });
  }

  /** From now on pushes; what is asked for before goes first anyway. */
  start(): void {
    for (let job = 0; job < this.queue.concurrency; job += 1) this.enqueuePush();
  }

  /** A vCPU faulted, and its page is on the way: its neighbours go next. */
  faulted({ page, vcpu, hits }: Fault): void {
    if (this.plan.tuning.order === "recent") this.order.faulted(page);
    if (!this.plan.tuning.prepull) return;
    const wanted = (near: number) => this.plan.dirty.has(near) && !this.isQueued(near);
    const pages = this.windows[vcpu]?.follow(page, hits, wanted) ?? [];
    if (pages.length === 0) return;
    const batch = Uint32Array.from(pages);
    this.enqueue(PRIORITY.PREPULL, () =>
      this.pool.batch({ type: "batch", purpose: PURPOSE.PREPULL, pages: batch }),
    );
  }

  stop(): void {
    this.queue.clear();
  }

  /** What a push sends is decided when its turn comes. Each enqueues the next. */
  private enqueuePush(): void {
    this.enqueue(PRIORITY.PUSH, async () => {
      const pages = this.order.nextBatch(this.plan.batchPages, this.isQueued);
      if (pages.length === 0) return;
      await this.pool.batch({ type: "batch", purpose: PURPOSE.PUSH, pages });
      this.enqueuePush();
    });
  }

  private enqueue(priority: number, job: () => Promise<void>): void {
    // A batch fails only with its channel, and the pool's listener hears of that.
    this.queue.add(job, { priority }).catch(() => {
      this.queue.clear();
    });
  }

  private readonly isQueued = (page: number): boolean => this.tables.queued.has(page);
}
