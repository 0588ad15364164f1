import { closeSync, openSync } from "node:fs";
import type net from "node:net";
import { devNull } from "node:os";
import { Duplex } from "node:stream";
import { setImmediate } from "node:timers/promises";
import { monotonicClock } from "../clock.js";
import type { Failure } from "../failure.js";
import type { PageBitmap } from "../memory/bitmap.js";
import { PAGE_BYTES, RAM_GRAIN_BYTES } from "../memory/geometry.js";
import { createPageKernel } from "../memory/kernel.js";
import { GuestRam } from "../memory/ram.js";
import { mixedPages } from "../memory/sample-pages.js";
import { FIRST_EPOCH } from "../memory/words.js";
import { bulkChannels, URGENT } from "../protocol/channel-names.js";
import { BLOCK_BYTES } from "../protocol/deltas.js";
import { encodeWords, FRAME_TYPES } from "../protocol/pages.js";
import type { Attached } from "../transport/attach.js";
import { WordFrames } from "../transport/word-frames.js";
import { BlockSums } from "./block-sums.js";
import { Channel } from "./channel.js";
import type { ChannelReport } from "./channel-contract.js";
import { MigrationTables } from "./migration-tables.js";
import { RateLimit } from "./rate-limit.js";
import { completeTuning } from "./tuning.js";

/** Enough for the compiler to take the path of a request seriously. */
const REQUESTS = 400;
/** After so many rounds nearly all that runs in stage three is compiled. */
const ROUNDS = 40;
const REQUESTS_OF_ROUND = 10;
/** So many kinds V8 does not tell apart any more. */
const KINDS = 6;
const RAM_BYTES = 2 ** 20;
/** Small ones: a pass goes by chunks, and V8 has to see many of them. */
const CHUNK_PAGES = 16;
const [BULK = ""] = bulkChannels(1);
/** Of the dirty pages, those that go as neighbours of a fault. */
const PREPULLED_PAGES = 16;
/** Of the event loop, for one pass or push: it takes some ten. */
const MOST_TURNS = 1000;

/** What a thread goes through while it waits for a seat. */
export async function* rehearsal(): AsyncGenerator<void> {
  const fd = openSync(devNull, "w");
  try {
    const departures = departuresFrom(GuestRam.allocate(RAM_BYTES, 1), fd);
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const departure of departures) {
        await departure.pass();
        for (let request = 0; request < REQUESTS_OF_ROUND; request += 1) departure.answer();
        await departure.push();
      }
      yield;
    }
  } finally {
    closeSync(fd);
  }
}

/**
 * Answers requests for pages of nobody's guest. Code that runs for the first time takes a millisecond where it takes
 * a tenth of one later, and the first request is the one that a guest's downtime waits for. The page kernels, which
 * V8 compiles well only once they have run some hundred times in a process, are rehearsed with it.
 */
export function rehearseRequests(): void {
  const fd = openSync(devNull, "w");
  const departures = departuresFrom(GuestRam.allocate(RAM_GRAIN_BYTES, 1), fd);
  for (let request = 0; request < REQUESTS; request += 1) departures[request % KINDS]?.answer();
  closeSync(fd);
}

/** By turns, they keep V8 from taking what it has seen of one of them for all that there is. */
function departuresFrom(ram: GuestRam, fd: number): readonly NobodysDeparture[] {
  new Uint8Array(ram.buffer).fill(1);
  ram.stamps.fill(FIRST_EPOCH);
  return Array.from({ length: KINDS }, (_, kind) => new NobodysDeparture(ram, kind, fd));
}

/**
 * A guest of nobody that leaves for nowhere. What V8 has not compiled by the time of stage three it compiles then, on threads of its
 * own: it took a third of two cores, and vCPUs waited milliseconds for a page where they wait a fraction of one.
 */
class NobodysDeparture {
  private readonly tables: MigrationTables;
  private readonly dest: Attached;
  private readonly vcpu: Attached;
  private readonly bulk: Channel;
  private readonly dirty: PageBitmap;
  private readonly dirtyPages: readonly number[];
  private requests = 0;
  private pushes = 0;
  private passes = 0;
  /** Frames of the destination. */
  private said = 0;

  constructor(
    private readonly ram: GuestRam,
    kind: number,
    fd: number,
  ) {
    this.dest = attachedTo(nobody(fd));
    this.vcpu = attachedTo(nobody(fd));
    // Two, or V8 would take the one that it has seen for the only one.
    const report = kind % 2 === 0 ? hear : hearToo;
    this.tables = MigrationTables.create(ram.pageCount, RateLimit.createState());
    this.tables.allowRequests();
    this.bulk = channelOf(BULK, ram, this.tables, this.dest, [], report);
    channelOf(URGENT, ram, this.tables, attachedTo(nobody(fd)), [this.vcpu], report);
    this.dirty = mixedPages(ram.pageCount);
    this.dirtyPages = [...this.dirty.pages()];
    this.noteBlocks();
  }

  /** A vCPU asks for a page: it walks at first, then jumps about. */
  answer(): void {
    const { tables, ram, requests } = this;
    const page = (requests < REQUESTS / 4 ? requests : requests * requests) % ram.pageCount;
    // Its neighbours as well, so that there is something to send along. Some are under way already.
    const end = requests % 16 === 15 ? page : Math.min(page + 4, ram.pageCount);
    for (let near = page; near < end; near += 1) tables.queued.take(near);
    write(ram, page, requests);
    const words = [page, 0, 0, Math.floor(requests / 2)];
    hearOn(this.vcpu, encodeWords(FRAME_TYPES.REQUEST, requests, words));
    this.requests += 1;
  }

  /** Passes over all memory, as in stage one. */
  async pass(): Promise<void> {
    const { tables, bulk, ram } = this;
    this.passes += 1;
    tables.rewind();
    const end = tables.counters.read("pagesPassed") + ram.pageCount;
    // All pages count as just written at first, and as cold by the end of the pass.
    const history = [{ epoch: FIRST_EPOCH, atMs: monotonicClock.nowMs() }];
    bulk.obey({ type: "pass", pass: this.passes, history });
    await turnUntil(() => tables.counters.read("pagesPassed") >= end);
    // By then its barrier has left as well.
    await setImmediate();
    this.say(FRAME_TYPES.BARRIER_PASSED, this.passes);
  }

  /** Pushes the dirty pages, of which some are zero, and some as they were. */
  async push(): Promise<void> {
    const { tables, ram, dirtyPages } = this;
    this.pushes += 1;
    tables.planned.assign(this.dirty);
    for (const page of dirtyPages) {
      tables.queued.take(page);
      if (page % 16 === 3) clear(ram, page);
      else if (page % 16 !== 5) write(ram, page, this.pushes);
    }
    const end = this.sentPages() + dirtyPages.length;
    let credited = tables.counters.read("bulkBytes");
    let seen = credited;
    this.bulk.obey({
      type: "prepull",
      pages: Uint32Array.from(dirtyPages.slice(0, PREPULLED_PAGES)),
    });
    this.bulk.obey({ type: "push" });
    await turnUntil(
      () => this.sentPages() >= end,
      () => {
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

  /** As a pass would, for who asks before there was one: pages that change little go as deltas from their second time on. */
  private noteBlocks(): void {
    const kernel = createPageKernel(this.ram.handle.memory);
    const sums = new BlockSums(kernel, this.tables.blockSums);
    for (let page = 0; page < this.ram.pageCount; page += 1) {
      kernel.checksumPage(page * PAGE_BYTES);
      sums.note(page);
    }
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
    hearOn(this.dest, encodeWords(type, this.said, [word]));
    this.said += 1;
  }
}

/** Turn after turn of the event loop, each followed by `afterTurn`, until it is over. */
async function turnUntil(isOver: () => boolean, afterTurn?: () => void): Promise<void> {
  for (let turn = 0; !isOver(); turn += 1) {
    if (turn === MOST_TURNS) throw new Error("a rehearsal went wrong: its pages do not leave");
    await setImmediate();
    afterTurn?.();
  }
}

/** As the guest would: a page never has the same contents twice. Half of the pages change throughout, so that they go whole. */
function write(ram: GuestRam, page: number, value: number): void {
  const words = new Uint32Array(ram.buffer, page * PAGE_BYTES, PAGE_BYTES / 4);
  const step = page % 4 >= 2 ? BLOCK_BYTES / 4 : words.length;
  for (let at = 0; at < words.length; at += step) words[at] = value;
}

function clear(ram: GuestRam, page: number): void {
  new Uint8Array(ram.buffer, page * PAGE_BYTES, PAGE_BYTES).fill(0);
}

/**
 * Takes everything, and says nothing by itself. Each is of a class of its own: V8 compiles for the kinds that it has seen while
 * they are few, and throws that away when a socket comes. What is written to it by its descriptor goes to nobody either.
 */
function nobody(fd: number): Duplex {
  const Nobody = class extends Duplex {
    readonly _handle = { fd };
    setTimeout(): void {
      // It never waits.
    }
    override _read(): void {
      // It says nothing.
    }
    override _write(_chunk: unknown, _encoding: unknown, done: () => void): void {
      done();
    }
    // A socket is done at once or later.
    override _writev(_chunks: unknown, done: () => void): void {
      this.writes += 1;
      if (this.writes % 2 === 0) done();
      else process.nextTick(done);
    }
    private writes = 0;
  };
  return new Nobody();
}

function channelOf(
  name: string,
  ram: GuestRam,
  tables: MigrationTables,
  own: Attached,
  faultLines: readonly Attached[],
  report: (report: ChannelReport) => void,
): Channel {
  // As it comes by message, and in the order in which outgoing.ts and channel-pool.ts make it: V8 tells objects apart by how they were made.
  const seat = structuredClone({
    to: { host: "", port: 0 },
    ram: ram.handle,
    tables: tables.handle,
    rates: { pass: undefined, drain: undefined },
    tuning: completeTuning({ chunkPages: CHUNK_PAGES }),
    bulkCount: 1,
    channel: name,
    connections: [{ channel: name, greeting: new Uint8Array() }] as const,
  });
  return new Channel(seat, own, faultLines, report);
}

function attachedTo(stream: Duplex): Attached {
  // All that a channel asks of its socket is what every stream has.
  return { channel: "", socket: stream as unknown as net.Socket, frames: new WordFrames() };
}

/** As if the bytes had just come. */
function hearOn({ frames }: Attached, bytes: Uint8Array): void {
  frames.next().set(bytes);
  frames.filled(bytes.byteLength);
}

function hear(report: ChannelReport): void {
  if (report.type === "failed") throw wrong(report.failure);
}
function hearToo(report: ChannelReport): void {
  if (report.type === "failed") throw wrong(report.failure);
}

function wrong(failure: Failure): Error {
  return new Error(`a rehearsal went wrong: ${JSON.stringify(failure)}`);
}
