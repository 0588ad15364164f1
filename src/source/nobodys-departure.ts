import { setImmediate } from "node:timers/promises";
import { monotonicClock } from "../clock.js";
import { describe, type Failure } from "../failure.js";
import type { PageBitmap } from "../memory/bitmap.js";
import { EpochMember } from "../memory/epoch.js";
import { PAGE_BYTES } from "../memory/geometry.js";
import { createPageKernel } from "../memory/kernel.js";
import type { GuestRam } from "../memory/ram.js";
import { mixedPages } from "../memory/sample-pages.js";
import { FIRST_EPOCH, GUEST_WORDS } from "../memory/words.js";
import { bulkChannels, URGENT } from "../protocol/channel-names.js";
import { BLOCK_BYTES } from "../protocol/deltas.js";
import { MAX_DATA_PAGES } from "../protocol/limits.js";
import { encodeWords, FRAME_TYPES } from "../protocol/pages.js";
import type { Attached } from "../transport/attach.js";
import type { LoopbackConnection } from "../transport/loopback.js";
import { BlockSums } from "./block-sums.js";
import { Channel } from "./channel.js";
import type { ChannelReport } from "./channel-contract.js";
import { MigrationTables } from "./migration-tables.js";
import { toNobody } from "./nobody.js";
import { RateLimit } from "./rate-limit.js";
import { completeTuning } from "./tuning.js";

/** For so many requests a vCPU walks. */
const WALKED_REQUESTS = 100;
/** A pass goes by chunks, of which V8 has to see many, and some that fill a frame. */
const CHUNK_PAGES = [16, MAX_DATA_PAGES];
/** Longer than it matters when a guest last wrote a page. */
const LONG_MS = 1e6;
const [BULK = ""] = bulkChannels(1);
/** Of the dirty pages, those that go as neighbours of a fault. */
const PREPULLED_PAGES = 16;
/** For one pass or push: it takes some milliseconds. */
const PATIENCE_MS = 2000;

/**
 * A guest of nobody that leaves for nowhere. What V8 has not compiled by the time of a migration it compiles then, on threads of its
 * own: in stage three that took a third of two cores, and vCPUs waited milliseconds for a page where they wait a fraction of one.
 */
export class NobodysDeparture {
  private readonly tables: MigrationTables;
  private readonly vcpu = toNobody();
  private readonly member: EpochMember;
  private readonly bulk: Channel;
  private readonly dirty: PageBitmap;
  private readonly dirtyPages: readonly number[];
  private requests = 0;
  private writes = 0;
  private passes = 0;
  private failure: Failure | undefined;
  /** Frames of the destination, after its `attached`. */
  private said = 1;

  constructor(
    private readonly ram: GuestRam,
    private readonly kind: number,
    private readonly dest: LoopbackConnection,
    private readonly urgent: LoopbackConnection,
  ) {
    this.member = new EpochMember(ram.words, 0);
    this.tables = MigrationTables.create(ram.pageCount, RateLimit.createState());
    this.tables.allowRequests();
    this.bulk = this.channel(BULK, dest.attached, []);
    this.channel(URGENT, urgent.attached, [this.vcpu.attached]);
    this.dirty = mixedPages(ram.pageCount);
    this.dirtyPages = [...this.dirty.pages()];
    this.noteBlocks();
  }

  /** A vCPU asks for a page: it walks at first, then jumps about. */
  answer(): void {
    const { tables, ram, requests } = this;
    const page = (requests < WALKED_REQUESTS ? requests : requests * requests) % ram.pageCount;
    // Its neighbours as well, so that there is something to send along. Some are under way already.
    const end = requests % 16 === 15 ? page : Math.min(page + 4, ram.pageCount);
    for (let near = page; near < end; near += 1) tables.queued.take(near);
    this.write(page);
    const words = [page, 0, 0, Math.floor(requests / 2)];
    this.vcpu.say(encodeWords(FRAME_TYPES.REQUEST, requests, words));
    this.requests += 1;
  }

  /** Passes over all memory, as in stage one. In every other pass a guest runs, and its pages are worth deferring. */
  async pass(): Promise<void> {
    const { tables, bulk, ram, dest, member } = this;
    this.passes += 1;
    const isBusy = this.passes % 2 === 0;
    Atomics.store(ram.words, GUEST_WORDS.REWRITTEN, isBusy ? 1000 : 0);
    if (isBusy) member.rejoin();
    // Else no page is zero, so that frames are full.
    else for (let page = 0; page < ram.pageCount; page += 1) this.write(page);
    tables.rewind();
    const end = tables.counters.read("pagesPassed") + ram.pageCount;
    // All pages count as just written at first, and as cold by the end of the pass; now and then as cold from the first.
    const ageMs = this.passes % 4 === 0 ? LONG_MS : 0;
    const history = [{ epoch: FIRST_EPOCH, atMs: monotonicClock.nowMs() - ageMs }];
    bulk.obey(structuredClone({ type: "pass", pass: this.passes, history } as const));
    const { socket } = dest.attached;
    await this.turnUntil(
      () => tables.counters.read("pagesPassed") >= end && socket.writableLength === 0,
      () => {
        if (isBusy) member.acknowledge();
        this.swallow();
      },
    );
    member.quiesce();
    // By then its barrier has left as well.
    await setImmediate();
    this.say(FRAME_TYPES.BARRIER_PASSED, this.passes);
  }

  /** Pushes the dirty pages, of which some are zero, and some as they were. */
  async push(): Promise<void> {
    const { tables, ram, dirtyPages, dest } = this;
    const { socket } = dest.attached;
    tables.planned.assign(this.dirty);
    for (const page of dirtyPages) {
      tables.queued.take(page);
      // What was deferred goes whole; of these few were.
      if (page % 8 !== 1) tables.resend.take(page);
      if (page % 16 === 3) clear(ram, page);
      else if (page % 16 !== 5) this.write(page);
    }
    const end = this.sentPages() + dirtyPages.length;
    let credited = tables.counters.read("bulkBytes");
    let seen = credited;
    this.bulk.obey({
      type: "prepull",
      pages: Uint32Array.from(dirtyPages.slice(0, PREPULLED_PAGES)),
    });
    this.bulk.obey({ type: "push" });
    await this.turnUntil(
      () => this.sentPages() >= end && socket.writableLength === 0,
      () => {
        this.swallow();
        const before = seen;
        seen = tables.counters.read("bulkBytes");
        // Not before nothing leaves any more, so that the window closes, as it does beside a real destination.
        if (seen !== before) return;
        this.credit(seen - credited);
        credited = seen;
      },
    );
    this.credit(tables.counters.read("bulkBytes") - credited);
  }

  /** Nobody hears of its connections any more. */
  end(): void {
    for (const { attached } of [this.dest, this.urgent]) {
      attached.frames.hush();
      attached.socket
        .removeAllListeners()
        .on("error", () => undefined)
        .destroy();
    }
  }

  private channel(name: string, own: Attached, faultLines: readonly Attached[]): Channel {
    const { ram, tables, kind } = this;
    // As it comes by message, and in the order in which outgoing.ts and channel-pool.ts make it: V8 tells objects apart by how they were made.
    const seat = structuredClone({
      to: { host: "", port: 0 },
      ram: ram.handle,
      tables: tables.handle,
      rates: { pass: undefined, drain: undefined },
      tuning: completeTuning({ chunkPages: CHUNK_PAGES[kind % CHUNK_PAGES.length] }),
      bulkCount: 1,
      channel: name,
      connections: [{ channel: name, greeting: new Uint8Array() }] as const,
    });
    // Two functions, or V8 would take the one that it has seen for the only one.
    const hear = (report: ChannelReport) => {
      this.hear(report);
    };
    const hearToo = (report: ChannelReport) => {
      this.hear(report);
    };
    return new Channel(seat, own, faultLines, kind % 2 === 0 ? hear : hearToo);
  }

  private hear(report: ChannelReport): void {
    if (report.type === "failed") this.failure ??= report.failure;
  }

  /** Turn after turn of the event loop, each followed by `afterTurn`, until it is over. Throws where that does not come, or a channel fails. */
  private async turnUntil(isOver: () => boolean, afterTurn: () => void): Promise<void> {
    const end = monotonicClock.nowMs() + PATIENCE_MS;
    while (!isOver()) {
      if (this.failure !== undefined) throw wrong(describe(this.failure));
      if (monotonicClock.nowMs() > end) throw wrong("its pages do not leave");
      await setImmediate();
      afterTurn();
    }
  }

  /** Not before the system takes no more, so that a channel has to wait for its socket now and then, as it does on a link. */
  private swallow(): void {
    for (const connection of [this.dest, this.urgent]) {
      if (connection.attached.socket.writableLength > 0) connection.swallow();
    }
  }

  /** As a pass would, for who asks before there was one: pages that change little go as deltas from their second time on. */
  private noteBlocks(): void {
    const kernel = createPageKernel(this.ram.handle.memory);
    const sums = new BlockSums(kernel, this.tables.blockSums);
    for (let page = 0; page < this.ram.pageCount; page += 1) {
      kernel.checksumPage(page * PAGE_BYTES);
      sums.note(page);
    }
  }

  /** As the guest would: a page never has the same contents twice. Half of the pages change throughout, so that they go whole. */
  private write(page: number): void {
    this.writes += 1;
    const words = new Uint32Array(this.ram.buffer, page * PAGE_BYTES, PAGE_BYTES / 4);
    const step = page % 4 >= 2 ? BLOCK_BYTES / 4 : words.length;
    for (let at = 0; at < words.length; at += step) words[at] = this.writes;
  }

  private sentPages(): number {
    const { counters } = this.tables;
    return (
      counters.read("pushedPages") +
      counters.read("prepulledPages") +
      counters.read("unchangedPages") +
      counters.read("deltaPages") +
      counters.read("zeroPages")
    );
  }

  private credit(bytes: number): void {
    if (bytes === 0) return;
    this.say(FRAME_TYPES.CREDIT, bytes);
  }

  private say(type: number, word: number): void {
    this.dest.say(encodeWords(type, this.said, [word]));
    this.said += 1;
  }
}

function clear(ram: GuestRam, page: number): void {
  new Uint8Array(ram.buffer, page * PAGE_BYTES, PAGE_BYTES).fill(0);
}

function wrong(what: string): Error {
  return new Error(`a rehearsal went wrong: ${what}`);
}
