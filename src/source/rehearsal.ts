import type net from "node:net";
import { Duplex } from "node:stream";
import { PAGE_BYTES, RAM_GRAIN_BYTES } from "../memory/geometry.js";
import { GuestRam } from "../memory/ram.js";
import { FIRST_EPOCH } from "../memory/words.js";
import { URGENT } from "../protocol/channel-names.js";
import { FrameDecoder } from "../protocol/frame.js";
import { MAX_CONTROL_BYTES } from "../protocol/limits.js";
import { encodeWords, FRAME_TYPES } from "../protocol/pages.js";
import { Channel } from "./channel.js";
import { MigrationTables } from "./migration-tables.js";
import { RateLimit } from "./rate-limit.js";
import { completeTuning } from "./tuning.js";

/** Enough for the compiler to take the path of a request seriously. */
const REQUESTS = 400;

/**
 * Answers requests for pages of nobody's guest. Code that runs for the first time takes a millisecond where it takes
 * a tenth of one later, and the first request is the one that a guest's downtime waits for. The page kernels, which
 * V8 compiles well only once they have run some hundred times in a process, are rehearsed with it.
 */
export function rehearseRequests(): void {
  const ram = GuestRam.allocate(RAM_GRAIN_BYTES, 1);
  new Uint8Array(ram.buffer).fill(1);
  ram.stamps.fill(FIRST_EPOCH);
  const tables = MigrationTables.create(ram.pageCount, RateLimit.createState());
  tables.allowRequests();
  const nobody = new Duplex({
    read: () => undefined,
    write: (_chunk, _encoding, done) => {
      done();
    },
  });
  const seat = {
    channel: URGENT,
    to: { host: "", port: 0 },
    connections: [{ channel: URGENT, greeting: new Uint8Array() }] as const,
    ram: ram.handle,
    tables: tables.handle,
    rates: { pass: undefined, drain: undefined },
    tuning: completeTuning(),
  };
  const vcpu = new Duplex({ read: () => undefined });
  const attached = (stream: Duplex) => ({
    channel: URGENT,
    // All that a channel asks of its socket is what every stream has.
    socket: stream as unknown as net.Socket,
    decoder: new FrameDecoder(MAX_CONTROL_BYTES),
  });
  new Channel(seat, attached(nobody), [attached(vcpu)], () => undefined);
  for (let sequence = 0; sequence < REQUESTS; sequence += 1) {
    const page = sequence % ram.pageCount;
    tables.queued.take(page);
    // As a write of the guest would have it: never the same contents twice.
    new Uint32Array(ram.buffer)[page * (PAGE_BYTES / 4)] = sequence;
    vcpu.emit("data", Buffer.from(encodeWords(FRAME_TYPES.REQUEST, sequence, [page, 0, 0, 0])));
  }
  nobody.destroy();
  vcpu.destroy();
}
