import type net from "node:net";
import { type Clock, monotonicClock } from "../clock.js";
import { MigrationError } from "../failure.js";
import { GuestRam } from "../memory/ram.js";
import { URGENT } from "../protocol/channel-names.js";
import { type Frame, malformed } from "../protocol/frame.js";
import { BARRIER_TIMEOUT_MS, MAX_TORN_PAGES, STALL_TIMEOUT_MS } from "../protocol/limits.js";
import { decodeWords, FIRST_DATA_SEQUENCE, FRAME_TYPES, PURPOSE } from "../protocol/pages.js";
import type { Attached } from "../transport/attach.js";
import type {
  ChannelCommand,
  ChannelReport,
  ChannelSeat,
  PassCommand,
} from "./channel-contract.js";
import { CreditWindow } from "./credit-window.js";
import { Drain } from "./drain.js";
import { MigrationTables } from "./migration-tables.js";
import { Neighbours } from "./neighbours.js";
import { PageSender } from "./page-sender.js";
import { Pass } from "./pass.js";
import { PushOrder } from "./push-order.js";
import { RateLimit } from "./rate-limit.js";
import { Round } from "./round.js";

/** A pass that sent less tells nothing of a link's rate. */
const LEAST_TELLING_BYTES = 2 ** 20;

/**
 * A data connection of the source, bulk or urgent: sends what it is told to, answers requests. The urgent channel also
 * hears the vCPUs' fault lines, and answers on its own connection.
 */
export class Channel {
  private readonly clock: Clock = monotonicClock;
  private readonly ram: GuestRam;
  private readonly tables: MigrationTables;
  private readonly sender: PageSender;
  private readonly drainLimit: RateLimit;
  private readonly order: PushOrder;
  private readonly neighbours: Neighbours;
  private readonly isUrgent: boolean;
  /** What a bulk channel does in stage three. */
  private drain: Drain | undefined;
  /** Pages that came corrupt, and were asked for again here. */
  private readonly askedAgain = new Set<number>();
  /** The pass whose barrier the destination has still to pass, and since when. */
  private barrier: number | undefined;
  private barrierMs = 0;
  /** Bytes per millisecond of the fastest pass on this channel, if any told. */
  private passRate: number | undefined;
  private passStart = { atMs: 0, bytes: 0 };
  private readonly own: net.Socket;

  constructor(
    private readonly seat: ChannelSeat,
    own: Attached,
    faultLines: readonly Attached[],
    private readonly report: (report: ChannelReport) => void,
  ) {
    this.isUrgent = seat.channel === URGENT;
    this.ram = new GuestRam(seat.ram);
    this.tables = new MigrationTables(seat.tables);
    this.drainLimit = new RateLimit(
      seat.tables.limiter,
      seat.rates.drain,
      seat.bulkCount,
      this.clock,
    );
    const counter = this.isUrgent ? "urgentBytes" : "bulkBytes";
    this.sender = new PageSender(
      this.ram,
      this.tables,
      own.socket,
      counter,
      FIRST_DATA_SEQUENCE,
      seat.tuning,
    );
    this.order = new PushOrder(this.tables);
    this.neighbours = new Neighbours(this.tables, this.ram.vcpuCount);
    this.own = own.socket;
    this.own.on("timeout", () => {
      this.becomeIdle();
    });
    this.listen(own, (frame) => {
      this.take(frame);
    });
    for (const line of faultLines) {
      this.listen(line, (frame) => {
        this.takeRequest(frame);
      });
    }
  }

  obey(command: Exclude<ChannelCommand, { type: "connect" }>): void {
    switch (command.type) {
      case "pass":
      case "round":
        void this.pass(command);
        break;
      case "sendAhead":
        this.sendAhead(command.pages);
        break;
      case "push":
        this.stageThree().push();
        break;
      case "prepull":
        this.stageThree().prepull(command.pages);
        break;
    }
  }

  /** The destination's word that it has passed the barrier is what ends the pass. */
  private async pass(command: PassCommand): Promise<void> {
    const { seat, ram, tables, sender, clock } = this;
    const limit = new RateLimit(seat.tables.limiter, seat.rates.pass, seat.bulkCount, clock);
    this.own.setTimeout(STALL_TIMEOUT_MS);
    this.passStart = { atMs: clock.nowMs(), bytes: sender.sentBytes };
    if (command.type === "round") await new Round(command, ram, tables, sender, limit).run();
    else await new Pass(command, ram, tables, sender, limit, seat.tuning, clock).run();
    this.barrier = command.pass;
    this.barrierMs = clock.nowMs();
  }

  /**
   * Nothing was read or written for a while, not even a part of what is being written. In stage three nobody is given up for that: a
   * guest that waits for a page is better off than one whose page will never come.
   */
  private becomeIdle(): void {
    const { own, barrierMs, seat, clock } = this;
    if (this.sender.isWaiting) {
      this.stall("to read pages", STALL_TIMEOUT_MS);
      return;
    }
    // What the system and the link still hold goes before the barrier, that of other channels too. Else the guest or a limit
    // keeps pages back.
    const waitedMs = this.barrier === undefined ? 0 : clock.nowMs() - barrierMs;
    if (waitedMs > BARRIER_TIMEOUT_MS * seat.bulkCount) this.stall("to pass a barrier", waitedMs);
    else own.setTimeout(STALL_TIMEOUT_MS);
  }

  private stall(awaited: string, waitedMs: number): void {
    this.report({ type: "failed", failure: { code: "PEER_STALLED", awaited, waitedMs } });
  }

  /** The urgent channel: the destination takes these as soon as it has taken the guest over. */
  private sendAhead(pages: readonly number[]): void {
    for (const page of pages) {
      if (this.tables.queued.claim(page)) this.sender.add(page, true);
      // The push begins where the guest works, as if it had faulted there.
      this.order.faulted(page);
    }
    for (let bytes; (bytes = this.sender.flush(PURPOSE.PUSH, 0)) > 0;)
      this.drainLimit.charge(bytes);
  }

  private stageThree(): Drain {
    const { tables, sender, drainLimit, seat, clock } = this;
    this.drain ??= new Drain(
      tables,
      sender,
      drainLimit,
      clock,
      new CreditWindow(seat.bulkCount, this.passRate),
    );
    return this.drain;
  }

  private listen({ channel, socket, frames }: Attached, take: (frame: Frame) => void): void {
    const lose = (cause: string) => {
      this.report({
        type: "failed",
        failure: { code: "CONNECTION_LOST", connection: channel, cause },
      });
    };
    if (socket.destroyed) lose("it broke before all were attached");
    socket.on("error", (error) => {
      lose(error.message);
    });
    socket.on("close", () => {
      lose("the other side closed it");
    });
    const fail = (error: Error) => {
      if (!(error instanceof MigrationError)) throw error;
      this.report({ type: "failed", failure: error.failure });
      socket.destroy();
    };
    frames.listen({ take, fail });
    socket.resume();
  }

  private take(frame: Frame): void {
    switch (frame.type) {
      case FRAME_TYPES.REQUEST:
        this.takeRequest(frame);
        break;
      case FRAME_TYPES.CREDIT:
        this.credit(decodeWords("credit", frame, 1));
        break;
      case FRAME_TYPES.TORN:
        this.noteTorn(decodeWords("torn", frame, 1, MAX_TORN_PAGES));
        break;
      case FRAME_TYPES.BARRIER_PASSED:
        this.endPass(decodeWords("barrier passed", frame, 1));
        break;
      default:
        throw new MigrationError({ code: "FRAME_UNKNOWN", type: frame.type });
    }
  }

  /** A fault line carries nothing else. */
  private takeRequest(frame: Frame): void {
    const { type } = frame;
    if (type !== FRAME_TYPES.REQUEST) throw new MigrationError({ code: "FRAME_UNKNOWN", type });
    this.answer(decodeWords("request", frame, 4));
  }

  private endPass([pass = 0]: readonly number[]): void {
    if (pass !== this.barrier) throw malformed("barrier passed", "it answers no barrier of ours");
    this.barrier = undefined;
    this.own.setTimeout(0);
    this.noteRate();
    this.report({ type: "done" });
  }

  /** What a pass shows of the link. One that was held to a limit, or had next to nothing to send, shows less. */
  private noteRate(): void {
    const { atMs, bytes } = this.passStart;
    const sentBytes = this.sender.sentBytes - bytes;
    if (this.seat.rates.pass !== undefined || sentBytes < LEAST_TELLING_BYTES) return;
    const rate = sentBytes / Math.max(this.clock.nowMs() - atMs, 1);
    this.passRate = Math.max(this.passRate ?? 0, rate);
  }

  /** A page that the guest waits for: alone, and at once. */
  private answer([page = 0, again = 0, vcpu = 0, hits = 0]: readonly number[]): void {
    this.checkPage(page);
    if (vcpu >= this.ram.vcpuCount) {
      throw malformed("request", `it comes from vCPU ${String(vcpu)}, which the guest has not`);
    }
    if (!this.tables.mayBeAsked) {
      throw new MigrationError({
        code: "MESSAGE_UNEXPECTED",
        message: "request",
        phase: "copying",
      });
    }
    const isNews = this.tables.queued.claim(page);
    if (again === 1 && !isNews) this.noteAgain(page);
    // A page that is under way already will arrive; only one that arrived corrupt is sent again.
    if (isNews || again === 1) {
      this.sender.add(page, again !== 1);
      const bytes = this.sender.flush(PURPOSE.PULL, 0);
      // It does not wait for the rate, but what is pushed after it does.
      this.drainLimit.charge(bytes);
      if (!this.isUrgent) this.stageThree().sent(bytes);
    }
    if (!this.isUrgent) return;
    this.order.faulted(page);
    if (!this.seat.tuning.prepull) return;
    const pages = this.neighbours.of({ page, vcpu, hits });
    // A guest that jumps about has none: then no other thread is woken.
    if (pages.length > 0) this.report({ type: "prepull", pages: Uint32Array.from(pages) });
  }

  /** A page that came corrupt twice is given up there: who asks on would have us send for ever. */
  private noteAgain(page: number): void {
    if (this.askedAgain.has(page)) throw malformed("request", `page ${String(page)} again, twice`);
    this.askedAgain.add(page);
  }

  private credit([bytes = 0]: readonly number[]): void {
    if (this.isUrgent) throw malformed("credit", "the urgent channel has no window");
    if (!this.stageThree().credit(bytes)) {
      throw malformed("credit", `${String(bytes)} bytes are not whole frames that were sent`);
    }
  }

  private noteTorn(pages: readonly number[]): void {
    for (const page of pages) {
      this.checkPage(page);
      this.tables.resend.claim(page);
    }
    this.tables.counters.add("tornPages", pages.length);
  }

  private checkPage(pageIndex: number): void {
    const { pageCount } = this.ram;
    if (pageIndex < pageCount) return;
    throw new MigrationError({ code: "PAGE_OUT_OF_RANGE", pageIndex, pageCount });
  }
}
