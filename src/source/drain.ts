import PQueue from "p-queue";
import type { Clock } from "../clock.js";
import { PAGE_BYTES } from "../memory/geometry.js";
import { MAX_DATA_PAGES } from "../protocol/limits.js";
import { PURPOSE } from "../protocol/pages.js";
import type { CreditWindow } from "./credit-window.js";
import type { MigrationTables } from "./migration-tables.js";
import type { PageSender } from "./page-sender.js";
import { PushOrder } from "./push-order.js";
import { FRAME_MS, type RateLimit } from "./rate-limit.js";

const PRIORITY = { PREPULL: 1, PUSH: 0 } as const;

/**
 * One channel's part of stage three: pushes until no dirty page is left, and lets the neighbours of faults go before
 * what it pushes. Requested pages do not come by here: the urgent channel answers them itself.
 *
 * A frame is a job. Each ends when the next may leave, and only then is it decided what that one holds: so a page is
 * claimed when it leaves, never before. A page that is claimed is on its way, and a request for it is not
 * answered.
 */
export class Drain {
  private readonly jobs = new PQueue({ concurrency: 1 });
  private readonly order: PushOrder;
  private wake: (() => void) | undefined;

  constructor(
    private readonly tables: MigrationTables,
    private readonly sender: PageSender,
    private readonly limit: RateLimit,
    private readonly clock: Clock,
    private readonly window: CreditWindow,
  ) {
    this.order = new PushOrder(tables);
    // What stage one has overdrawn is paid for first.
    this.enqueue(PRIORITY.PREPULL, () => undefined);
  }

  /** From now on pushes. */
  push(): void {
    this.enqueue(PRIORITY.PUSH, () => {
      if (!this.fill()) return;
      this.flush(PURPOSE.PUSH);
      this.push();
    });
  }

  /** Sends those of `pages`, before anything else, that nobody has claimed when their turn comes. */
  prepull(pages: Uint32Array): void {
    this.enqueue(PRIORITY.PREPULL, () => {
      const now = this.framePages();
      for (const page of pages.subarray(0, now)) {
        if (this.tables.queued.claim(page)) this.sender.add(page, true);
      }
      this.flush(PURPOSE.PREPULL);
      if (pages.length > now) this.prepull(pages.subarray(now));
    });
  }

  /** That many bytes have left on this channel by another way. */
  sent(bytes: number): void {
    this.window.sent(bytes, this.clock.nowMs());
  }

  /** The destination has taken in that many bytes. False when that is not what was sent: see `CreditWindow`. */
  credit(bytes: number): boolean {
    const isSound = this.window.credit(bytes, this.clock.nowMs());
    this.wake?.();
    this.wake = undefined;
    return isSound;
  }

  private enqueue(priority: number, send: () => void): void {
    void this.jobs.add(
      async () => {
        send();
        await this.turn();
      },
      { priority },
    );
  }

  /**
   * Claims and adds pages until a frame is full, which takes more of them where little has changed: of deltas the smallest frame holds as many as
   * come to a page. False where none was left.
   */
  private fill(): boolean {
    const { order, sender } = this;
    const framePages = this.framePages();
    let claimed = 0;
    for (let room = framePages; room > 0;) {
      const pages = order.claim(room);
      if (pages.length === 0) break;
      for (const page of pages) sender.add(page, true);
      claimed += pages.length;
      const contentPages = Math.floor(sender.contentBytes / PAGE_BYTES);
      room = Math.min(framePages - contentPages, MAX_DATA_PAGES - claimed);
    }
    return claimed > 0;
  }

  private flush(purpose: typeof PURPOSE.PUSH | typeof PURPOSE.PREPULL): void {
    for (let bytes; (bytes = this.sender.flush(purpose, 0)) > 0;) {
      this.limit.charge(bytes);
      this.sent(bytes);
    }
  }

  /** Resolves when a frame may leave: within the window, the socket's queue and the rate, which others use up meanwhile. */
  private async turn(): Promise<void> {
    while (!this.window.hasRoomFor(this.framePages() * PAGE_BYTES)) {
      await new Promise<void>((resolve) => (this.wake = resolve));
    }
    await this.sender.ready();
    await this.limit.ready(this.framePages() * PAGE_BYTES);
  }

  private framePages(): number {
    const byWindow = Math.floor(this.window.frameBytes / PAGE_BYTES);
    return Math.min(byWindow, this.limit.framePages(FRAME_MS.push), MAX_DATA_PAGES);
  }
}
