import type net from "node:net";
import { monotonicClock } from "../clock.js";
import { MigrationError } from "../failure.js";
import { GuestRam } from "../memory/ram.js";
import { EpochTracker } from "../memory/tracker.js";
import { type Frame, type FrameDecoder } from "../protocol/frame.js";
import { MAX_TORN_PAGES } from "../protocol/limits.js";
import { decodeWords, FRAME_TYPES, PURPOSE } from "../protocol/pages.js";
import { FIRST_DATA_SEQUENCE } from "../transport/attach.js";
import type { ChannelCommand, ChannelReport, ChannelSeat } from "./channel-contract.js";
import { MigrationTables } from "./migration-tables.js";
import { PageSender } from "./page-sender.js";
import { RateLimit } from "./rate-limit.js";

/**
 * Page bytes that may be under way on a channel in stage three: sent, and not yet taken in by the
 * destination. It bounds what can lie in the link's queue before a requested page.
 */
const STAGE_THREE_WINDOW_BYTES = 1024 * 1024;

/** A data connection of the source, bulk or urgent: sends what it is told to, answers requests. */
export class Channel {
  private readonly ram: GuestRam;
  private readonly tables: MigrationTables;
  private readonly tracker: EpochTracker;
  private readonly sender: PageSender;
  private readonly isUrgent: boolean;
  /** Stage three: bytes sent and not yet credited. */
  private underWayBytes = 0;
  private wake: (() => void) | undefined;

  constructor(
    private readonly seat: ChannelSeat,
    socket: net.Socket,
    decoder: FrameDecoder,
    private readonly report: (report: ChannelReport) => void,
  ) {
    this.isUrgent = seat.channel === "urgent";
    this.ram = new GuestRam(seat.ram);
    this.tables = new MigrationTables(seat.tables);
    this.tracker = new EpochTracker(this.ram, seat.tables.marks);
    const limit = new RateLimit(seat.tables.limiter, seat.bytesPerSecond, monotonicClock);
    const counter = this.isUrgent ? "urgentBytes" : "bulkBytes";
    this.sender = new PageSender(
      this.ram,
      this.tables,
      socket,
      limit,
      counter,
      FIRST_DATA_SEQUENCE,
    );
    this.listen(socket, decoder);
  }

  async obey(command: ChannelCommand): Promise<void> {
    if (command.type === "pass") {
      await this.pass(command.pass);
    } else {
      await this.batch(command);
      this.report({ type: "done" });
    }
  }

  /** Takes chunk after chunk until the pass has none left, then sends the barrier. */
  private async pass(pass: number): Promise<void> {
    const { counters } = this.tables;
    const { chunkPages } = this.seat;
    for (;;) {
      const firstPage = counters.add("nextChunk", 1) * chunkPages;
      if (firstPage >= this.ram.pageCount) break;
      const pageCount = Math.min(chunkPages, this.ram.pageCount - firstPage);
      await this.sender.ready();
      // Marked just before it is read: writes made until now cost nothing.
      await this.tracker.mark({ firstPage, pageCount });
      for (let page = firstPage; page < firstPage + pageCount; page += 1) {
        this.sender.add(page, false);
        if (!this.sender.hasRoom) this.sender.flush(PURPOSE.PASS, pass);
      }
      this.sender.flush(PURPOSE.PASS, pass);
      counters.add("pagesPassed", pageCount);
    }
    this.sender.barrier(pass);
  }

  /** Sends those pages of a batch that nobody else has taken on. */
  private async batch({ pages, purpose }: ChannelCommand & { type: "batch" }): Promise<void> {
    await this.sender.ready();
    for (const page of pages) {
      if (!this.tables.queued.claim(page)) continue;
      this.sender.add(page, true);
      if (!this.sender.hasRoom) await this.flushWithinWindow(purpose);
    }
    await this.flushWithinWindow(purpose);
  }

  private async flushWithinWindow(
    purpose: typeof PURPOSE.PUSH | typeof PURPOSE.PREPULL,
  ): Promise<void> {
    this.underWayBytes += this.sender.flush(purpose, 0);
    while (this.underWayBytes > STAGE_THREE_WINDOW_BYTES) {
      await new Promise<void>((resolve) => (this.wake = resolve));
    }
  }

  private listen(socket: net.Socket, decoder: FrameDecoder): void {
    const lose = (cause: string) => {
      const connection = this.seat.channel;
      this.report({ type: "failed", failure: { code: "CONNECTION_LOST", connection, cause } });
    };
    socket.on("error", (error) => {
      lose(error.message);
    });
    socket.on("close", () => {
      lose("the other side closed it");
    });
    socket.on("data", (chunk: Buffer) => {
      try {
        for (const frame of decoder.push(chunk)) this.take(frame);
      } catch (error) {
        if (!(error instanceof MigrationError)) throw error;
        this.report({ type: "failed", failure: error.failure });
        socket.destroy();
      }
    });
  }

  private take(frame: Frame): void {
    switch (frame.type) {
      case FRAME_TYPES.REQUEST:
        this.answer(decodeWords("request", frame.body, 2));
        break;
      case FRAME_TYPES.CREDIT:
        this.credit(decodeWords("credit", frame.body, 1));
        break;
      case FRAME_TYPES.TORN:
        this.noteTorn(decodeWords("torn", frame.body, 1, MAX_TORN_PAGES));
        break;
      case FRAME_TYPES.BARRIER_PASSED:
        decodeWords("barrier passed", frame.body, 1);
        this.report({ type: "done" });
        break;
      default:
        throw new MigrationError({ code: "FRAME_UNKNOWN", type: frame.type });
    }
  }

  /** A page that the guest waits for: alone, and at once. */
  private answer([page = 0, again = 0]: readonly number[]): void {
    this.checkPage(page);
    const isNews = this.tables.queued.claim(page);
    // A page that is under way already will arrive; only one that arrived corrupt is sent again.
    if (!isNews && again !== 1) return;
    this.sender.add(page, again !== 1);
    this.sender.flush(PURPOSE.PULL, 0);
    if (this.isUrgent) this.report({ type: "faulted", page });
  }

  private credit([bytes = 0]: readonly number[]): void {
    this.underWayBytes -= bytes;
    this.wake?.();
    this.wake = undefined;
  }

  private noteTorn(pages: readonly number[]): void {
    for (const page of pages) {
      this.checkPage(page);
      this.tables.torn.claim(page);
    }
    this.tables.counters.add("tornPages", pages.length);
  }

  private checkPage(pageIndex: number): void {
    const { pageCount } = this.ram;
    if (pageIndex < pageCount) return;
    throw new MigrationError({ code: "PAGE_OUT_OF_RANGE", pageIndex, pageCount });
  }
}
