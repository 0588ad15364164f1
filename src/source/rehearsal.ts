import type net from "node:net";
import { Duplex } from "node:stream";
import { setImmediate } from "node:timers/promises";
import type { Failure } from "../failure.js";
import { PAGE_BYTES, RAM_GRAIN_BYTES } from "../memory/geometry.js";
import { GuestRam } from "../memory/ram.js";
import { mixedPages } from "../memory/sample-pages.js";
import { FIRST_EPOCH } from "../memory/words.js";
import { bulkChannels, URGENT } from "../protocol/channel-names.js";
import { FrameDecoder } from "../protocol/frame.js";
import { MAX_CONTROL_BYTES } from "../protocol/limits.js";
import { encodeWords, FRAME_TYPES } from "../protocol/pages.js";
import { Channel } from "./channel.js";
import type { ChannelReport } from "./channel-contract.js";
import { MigrationTables } from "./migration-tables.js";
import { RateLimit } from "./rate-limit.js";
import { completeTuning } from "./tuning.js";

/** Enough for the compiler to take the path of a request seriously. */
const REQUESTS = 400;
/** So often the dirty pages of a guest of this size. */
const PUSHES = 40;
const RAM_BYTES = 2 ** 20;
/** Of the dirty pages, those that go as neighbours of a fault. */
const PREPULLED_PAGES = 16;
/** Of the event loop, for one push: it takes some ten. */
const MOST_TURNS = 1000;
/** After so many rounds nearly all that runs in stage three is compiled. */
const ROUNDS = 6;

/**
 * What a thread goes through while it waits for a seat. Each round has channels of its own, since V8 takes functions that it has
 * seen of one object only for that object's.
 */
export async function* rehearsal(): AsyncGenerator<void> {
  const ram = GuestRam.allocate(RAM_BYTES, 1);
  for (let round = 0; round < ROUNDS; round += 1) {
    rehearseRequests(ram);
    yield;
    await rehearsePush(ram);
    yield;
  }
}

/**
 * Answers requests for pages of nobody's guest. Code that runs for the first time takes a millisecond where it takes
 * a tenth of one later, and the first request is the one that a guest's downtime waits for. The page kernels, which
 * V8 compiles well only once they have run some hundred times in a process, are rehearsed with it.
 */
export function rehearseRequests(ram = GuestRam.allocate(RAM_GRAIN_BYTES, 1)): void {
  const tables = nobodysTables(ram);
  const vcpu = nobody();
  channelOf(URGENT, ram, tables, nobody(), [vcpu]);
  for (let sequence = 0; sequence < REQUESTS; sequence += 1) {
    // The push has not begun at first; then pages have neighbours.
    if (sequence === REQUESTS / 4) tables.planned.assign(mixedPages(ram.pageCount));
    // Walks at first, then jumps about.
    const page = (sequence < REQUESTS / 2 ? sequence : sequence * sequence) % ram.pageCount;
    tables.queued.take(page);
    write(ram, page, sequence);
    const hits = Math.floor(sequence / 2);
    vcpu.emit("data", Buffer.from(encodeWords(FRAME_TYPES.REQUEST, sequence, [page, 0, 0, hits])));
  }
}

/**
 * Pushes pages of nobody's guest. What V8 has not compiled by the time of stage three it compiles then, on threads of its
 * own: it took a third of two cores, and vCPUs waited milliseconds for a page where they wait a fraction of one.
 */
async function rehearsePush(ram: GuestRam): Promise<void> {
  const tables = nobodysTables(ram);
  const dirty = mixedPages(ram.pageCount);
  tables.planned.assign(dirty);
  const pages = [...dirty.pages()];
  const prepulled = Uint32Array.from(pages.slice(0, PREPULLED_PAGES));
  const [bulk = ""] = bulkChannels(1);
  const dest = nobody();
  const channel = channelOf(bulk, ram, tables, dest, []);
  const { counters } = tables;
  const sent = () =>
    counters.read("pushedPages") +
    counters.read("prepulledPages") +
    counters.read("unchangedPages") +
    counters.read("zeroPages");
  let credited = 0;
  let seen = 0;
  let sequence = 0;
  for (let push = 1; push <= PUSHES; push += 1) {
    for (const page of pages) {
      tables.queued.take(page);
      if (page % 16 === 3) clear(ram, page);
      else if (page % 16 !== 5) write(ram, page, push);
    }
    channel.obey({ type: "prepull", pages: prepulled });
    channel.obey({ type: "push" });
    for (let turn = 0; sent() < push * pages.length; turn += 1) {
      if (turn === MOST_TURNS) throw new Error("a rehearsal went wrong: its pages do not leave");
      await setImmediate();
      const before = seen;
      seen = counters.read("bulkBytes");
      // Not before nothing leaves any more, so that the window closes, as it does beside a real destination.
      if (seen !== before || seen === credited) continue;
      const bytes = seen - credited;
      credited = seen;
      dest.emit("data", Buffer.from(encodeWords(FRAME_TYPES.CREDIT, sequence, [bytes])));
      sequence += 1;
    }
  }
}

/** All of `ram` is full of data. */
function nobodysTables(ram: GuestRam): MigrationTables {
  new Uint8Array(ram.buffer).fill(1);
  ram.stamps.fill(FIRST_EPOCH);
  const tables = MigrationTables.create(ram.pageCount, RateLimit.createState());
  tables.allowRequests();
  return tables;
}

/** As the guest would: a page never has the same contents twice. */
function write(ram: GuestRam, page: number, value: number): void {
  new Uint32Array(ram.buffer, page * PAGE_BYTES, 1)[0] = value;
}

function clear(ram: GuestRam, page: number): void {
  new Uint8Array(ram.buffer, page * PAGE_BYTES, PAGE_BYTES).fill(0);
}

/**
 * Takes everything, and says nothing by itself. Each is of a class of its own: V8 compiles for the kinds that it has seen while
 * they are few, and throws that away when a socket comes.
 */
function nobody(): Duplex {
  const Nobody = class extends Duplex {
    override _read(): void {
      // It says nothing.
    }
    override _write(_chunk: unknown, _encoding: unknown, done: () => void): void {
      done();
    }
    override _writev(_chunks: unknown, done: () => void): void {
      done();
    }
  };
  return new Nobody();
}

function channelOf(
  name: string,
  ram: GuestRam,
  tables: MigrationTables,
  own: Duplex,
  faultLines: readonly Duplex[],
): Channel {
  // As it comes by message, and in the order of outgoing.ts: V8 tells objects apart by how they were made.
  const seat = structuredClone({
    to: { host: "", port: 0 },
    ram: ram.handle,
    tables: tables.handle,
    rates: { pass: undefined, drain: undefined },
    tuning: completeTuning(),
    bulkCount: 1,
    channel: name,
    connections: [{ channel: name, greeting: new Uint8Array() }] as const,
  });
  const attached = (stream: Duplex) => ({
    channel: name,
    // All that a channel asks of its socket is what every stream has.
    socket: stream as unknown as net.Socket,
    decoder: new FrameDecoder(MAX_CONTROL_BYTES),
  });
  const report = name === URGENT ? hearUrgent : hearBulk;
  return new Channel(seat, attached(own), faultLines.map(attached), report);
}

// Two, or V8 would take the one that it has seen for the only one.
function hearUrgent(report: ChannelReport): void {
  if (report.type === "failed") throw wrong(report.failure);
}
function hearBulk(report: ChannelReport): void {
  if (report.type === "failed") throw wrong(report.failure);
}

function wrong(failure: Failure): Error {
  return new Error(`a rehearsal went wrong: ${JSON.stringify(failure)}`);
}
