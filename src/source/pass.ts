import type { Clock } from "../clock.js";
import { PAGE_BYTES } from "../memory/geometry.js";
import type { GuestRam } from "../memory/ram.js";
import { EpochTracker } from "../memory/tracker.js";
import { NEVER } from "../memory/words.js";
import { PURPOSE } from "../protocol/pages.js";
import type { ChannelCommand } from "./channel-contract.js";
import { EpochHistory, LOOK_BACK, LOOK_BACK_FOR_DELTAS } from "./epoch-history.js";
import type { MigrationTables } from "./migration-tables.js";
import type { PageSender } from "./page-sender.js";
import { PassPace } from "./pass-pace.js";
import { FRAME_MS, type RateLimit } from "./rate-limit.js";
import { paysToDefer, rewrittenShare } from "./rewrite-watch.js";
import type { Tuning } from "./tuning.js";

/**
 * One channel's part of a pass: takes chunk after chunk until none is left.
 *
 * A chunk is marked just before it is read, so writes made before its turn cost nothing. A page that is *hot*
 * when its turn comes is deferred to stage three, where it is sent once, instead of now and again then. Hot
 * is a page that was written within `LOOK_BACK` times as long before its turn as the pass would still
 * take if nothing more were deferred. Where hot pages are found to change little each time, they are not deferred, since
 * stage three sends deltas of them.
 */
export class Pass {
  private readonly tracker: EpochTracker;
  private readonly history: EpochHistory;
  private readonly pace: PassPace;
  private readonly chunkPages: number;
  private readonly chunkCount: number;
  /** Of each chunk and all that follow it, the pages that were ever written. */
  private readonly writtenFrom: Uint32Array;

  constructor(
    private readonly command: ChannelCommand & { type: "pass" },
    private readonly ram: GuestRam,
    private readonly tables: MigrationTables,
    private readonly sender: PageSender,
    private readonly limit: RateLimit,
    private readonly tuning: Tuning,
    private readonly clock: Clock,
  ) {
    this.tracker = new EpochTracker(ram, tables.handle.marks);
    this.history = new EpochHistory(command.history);
    this.pace = new PassPace(limit.bytesPerSecond, limit.senders);
    const framePages = limit.framePages(FRAME_MS.pass);
    this.chunkPages = Math.min(tuning.chunkPages, framePages);
    this.chunkCount = Math.ceil(ram.pageCount / this.chunkPages);
    this.writtenFrom = this.countWritten();
  }

  async run(): Promise<void> {
    const { counters } = this.tables;
    for (;;) {
      await this.sender.ready();
      await this.limit.ready(this.chunkPages * PAGE_BYTES);
      const chunk = counters.add("nextChunk", 1);
      if (chunk >= this.chunkCount) break;
      await this.send(chunk);
    }
    this.flush();
    this.limit.charge(0);
    this.sender.barrier(this.command.pass);
  }

  private async send(chunk: number): Promise<void> {
    const { sender, ram, tables } = this;
    const firstPage = chunk * this.chunkPages;
    const pageCount = Math.min(this.chunkPages, ram.pageCount - firstPage);
    const nowMs = this.clock.nowMs();
    this.pace.begin(nowMs);
    const epoch = this.tracker.beginMark({ firstPage, pageCount });
    this.history.note(epoch, nowMs);
    await this.tracker.whenObeyed(epoch);
    const leftMs = this.pace.timeFor(this.writtenFrom[chunk] ?? 0);
    const hotSince = this.defers ? this.history.firstSince(nowMs - LOOK_BACK * leftMs) : Infinity;
    const deltasSince = this.deltasSince(nowMs - LOOK_BACK_FOR_DELTAS * leftMs);
    const end = firstPage + pageCount;
    let deferred = 0;
    let written = 0;
    for (let page = firstPage; page < end;) {
      // The guest may write while we look: a page that turns hot now is merely dirty.
      const hot = this.firstHot(page, end, hotSince);
      written += this.writtenIn(page, hot);
      this.sendRun(page, hot, deltasSince);
      for (page = hot; page < end && (ram.stamps[page] ?? NEVER) >= hotSince; page += 1) {
        tables.resend.claim(page);
        deferred += 1;
      }
    }
    // Zero pages alone are not worth a frame for each chunk.
    if (sender.contentBytes > 0) this.flush();
    this.pace.sent(written);
    if (deferred > 0) tables.counters.add("deferredPages", deferred);
    tables.counters.add("pagesPassed", pageCount);
  }

  private sendRun(firstPage: number, endPage: number, deltasSince: number): void {
    const { sender } = this;
    let page = firstPage;
    while (page < endPage) {
      page = sender.addRun(page, endPage, deltasSince);
      if (!sender.hasRoom) this.flush();
    }
  }

  /** Pages that change little where they are rewritten go now all the same: what has changed by the end is soon sent. */
  private get defers(): boolean {
    const { defer, delta } = this.tuning;
    return defer && (!delta || paysToDefer(rewrittenShare(this.ram)));
  }

  /** Of a guest that is not known for so long nobody can tell which pages it leaves alone: then all may be written again. */
  private deltasSince(atMs: number): number {
    return this.history.knows(atMs) ? this.history.firstSince(atMs) : NEVER;
  }

  private countWritten(): Uint32Array {
    const counts = new Uint32Array(this.chunkCount);
    let written = 0;
    for (let chunk = this.chunkCount - 1; chunk >= 0; chunk -= 1) {
      const firstPage = chunk * this.chunkPages;
      written += this.writtenIn(firstPage, firstPage + this.chunkPages);
      counts[chunk] = written;
    }
    return counts;
  }

  // Loops over the pages of a chunk stand alone, where V8 has them compiled after a few chunks and not after a few hundred.

  /** How many pages from `firstPage` on, to before `endPage`, the guest has written, of those that there are. */
  private writtenIn(firstPage: number, endPage: number): number {
    const { stamps } = this.ram;
    const end = Math.min(endPage, stamps.length);
    let written = 0;
    for (let page = firstPage; page < end; page += 1) if (stamps[page] !== NEVER) written += 1;
    return written;
  }

  /** The first page from `firstPage` on, to before `endPage`, that was written since; `endPage` where there is none. */
  private firstHot(firstPage: number, endPage: number, hotSince: number): number {
    const { stamps } = this.ram;
    let page = firstPage;
    while (page < endPage && (stamps[page] ?? NEVER) < hotSince) page += 1;
    return page;
  }

  private flush(): void {
    this.limit.charge(this.sender.flush(PURPOSE.PASS, this.command.pass));
  }
}
