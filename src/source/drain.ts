import PQueue from "p-queue";
import type { PageBitmap } from "../memory/bitmap.js";
import { PURPOSE } from "../protocol/pages.js";
import type { ChannelPool } from "./channel-pool.js";
import type { MigrationTables } from "./migration-tables.js";
import { PushOrder } from "./push-order.js";

const PRIORITY = { PREPULL: 1, PUSH: 0 } as const;

/**
 * Stage three at the source: keeps the bulk channels busy with batches of dirty pages. Requested pages do
 * not come by here: the urgent thread answers them itself, and only tells afterwards, so that their
 * neighbours go before what is pushed.
 */
export class Drain {
  private readonly order: PushOrder;
  private readonly queue: PQueue;

  constructor(
    dirty: PageBitmap,
    stamps: Int32Array,
    private readonly tables: MigrationTables,
    private readonly pool: ChannelPool,
    channelCount: number,
    private readonly batchPages: number,
  ) {
    this.order = new PushOrder(dirty, stamps);
    this.queue = new PQueue({ concurrency: channelCount });
    for (let job = 0; job < channelCount; job += 1) this.enqueuePush();
  }

  /** The guest faulted on `page`: its neighbours go next. */
  faulted(page: number): void {
    const pages = this.order.neighbours(page, this.isQueued);
    if (pages.length === 0) return;
    this.enqueue(PRIORITY.PREPULL, () =>
      this.pool.batch({ type: "batch", purpose: PURPOSE.PREPULL, pages }),
    );
  }

  stop(): void {
    this.queue.clear();
  }

  /** What a push sends is decided when its turn comes. Each enqueues the next. */
  private enqueuePush(): void {
    this.enqueue(PRIORITY.PUSH, async () => {
      const pages = this.order.nextBatch(this.batchPages, this.isQueued);
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
