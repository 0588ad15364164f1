import type net from "node:net";
import { Duplex } from "node:stream";
import { setImmediate } from "node:timers/promises";
import { PAGE_BYTES, RAM_GRAIN_BYTES } from "../memory/geometry.js";
import { GuestRam } from "../memory/ram.js";
import { mixedPages } from "../memory/sample-pages.js";
import { FIRST_EPOCH } from "../memory/words.js";
import { bulkChannels, URGENT } from "../protocol/channel-names.js";
import { FrameDecoder } from "../protocol/frame.js";
import { MAX_CONTROL_BYTES } from "../protocol/limits.js";
import { encodeWords, FRAME_TYPES } from "../protocol/pages.js";
import { Channel } from "./channel.js";
import { MigrationTables } from "./migration-tables.js";
import { RateLimit } from "./rate-limit.js";
import { completeTuning } from "./tuning.js";

/** Enough for the compiler to take the path of a request seriously, and for what downtime waits for. */
const REQUESTS = 400;
/** So often the dirty pages of a guest of this size. */
const PUSHES = 10;
const PUSH_RAM_BYTES = 4 * 2 ** 20;
/** After so many rounds nearly all that runs in stage three is compiled. */
const ROUNDS = 6;

/**
 * What a thread goes through while it waits for a seat. Each round is of another guest, since V8 takes functions that it has
 * seen of one object only for that object's.
 */
export async function* rehearsal(): AsyncGenerator<void> {
  for (let round = 0; round < ROUNDS; round += 1) {
    rehearseRequests();
    yield;
    await rehearsePush();
    yield;
  }
}

/**
 * Answers requests for pages of nobody's guest. Code that runs for the first time takes a millisecond where it takes
 * a tenth of one later, and the first request is the one that a guest's downtime waits for. The page kernels, which
 * V8 compiles well only once they have run some hundred times in a process, are rehearsed with it.
 */
export function rehearseRequests(): void {
  const { ram, tables } = nobodysGuest(RAM_GRAIN_BYTES);
  const vcpu = nobody();
  channelOf(URGENT, ram, tables, nobody(), [vcpu]);
  for (let sequence = 0; sequence < REQUESTS; sequence += 1) {
    const page = sequence % ram.pageCount;
    tables.queued.take(page);
    write(ram, page, sequence);
    vcpu.emit("data", Buffer.from(encodeWords(FRAME_TYPES.REQUEST, sequence, [page, 0, 0, 0])));
  }
}

/**
 * Pushes pages of nobody's guest. What V8 has not compiled by the time of stage three it compiles then, on threads of its
 * own: it took a third of two cores, and vCPUs waited milliseconds for a page where they wait a fraction of one.
 */
async function rehearsePush(): Promise<void> {
  const { ram, tables } = nobodysGuest(PUSH_RAM_BYTES);
  const dirty = mixedPages(ram.pageCount);
  tables.planned.assign(dirty);
  const total = dirty.count();
  const [bulk = ""] = bulkChannels(1);
  const dest = nobody();
  const channel = channelOf(bulk, ram, tables, dest, []);
  let credited = 0;
  let sequence = 0;
  for (let push = 1; push <= PUSHES; push += 1) {
    for (const page of dirty.pages()) {
      tables.queued.take(page);
      write(ram, page, push);
    }
    channel.obey({ type: "push" });
    while (tables.counters.read("pushedPages") < push * total) {
      await setImmediate();
      const bytes = tables.counters.read("bulkBytes") - credited;
      credited += bytes;
      if (bytes === 0) continue;
      dest.emit("data", Buffer.from(encodeWords(FRAME_TYPES.CREDIT, sequence, [bytes])));
      sequence += 1;
    }
  }
}

function nobodysGuest(ramBytes: number): { ram: GuestRam; tables: MigrationTables } {
  const ram = GuestRam.allocate(ramBytes, 1);
  new Uint8Array(ram.buffer).fill(1);
  ram.stamps.fill(FIRST_EPOCH);
  const tables = MigrationTables.create(ram.pageCount, RateLimit.createState());
  tables.allowRequests();
  return { ram, tables };
}

/** As the guest would: a page never has the same contents twice. */
function write(ram: GuestRam, page: number, value: number): void {
  new Uint32Array(ram.buffer, page * PAGE_BYTES, 1)[0] = value;
}

/** Takes everything, and says nothing by itself. */
function nobody(): Duplex {
  return new Duplex({
    read: () => undefined,
    write: (_chunk, _encoding, done) => {
      done();
    },
    writev: (_chunks, done) => {
      done();
    },
  });
}

function channelOf(
  name: string,
  ram: GuestRam,
  tables: MigrationTables,
  own: Duplex,
  faultLines: readonly Duplex[],
): Channel {
  // As it comes by message: V8 tells objects apart by how they were made.
  const seat = structuredClone({
    channel: name,
    to: { host: "", port: 0 },
    connections: [{ channel: name, greeting: new Uint8Array() }] as const,
    ram: ram.handle,
    tables: tables.handle,
    rates: { pass: undefined, drain: undefined },
    tuning: completeTuning(),
  });
  const attached = (stream: Duplex) => ({
    channel: name,
    // All that a channel asks of its socket is what every stream has.
    socket: stream as unknown as net.Socket,
    decoder: new FrameDecoder(MAX_CONTROL_BYTES),
  });
  return new Channel(seat, attached(own), faultLines.map(attached), (report) => {
    if (report.type !== "failed") return;
    throw new Error(`a rehearsal went wrong: ${JSON.stringify(report.failure)}`);
  });
}
