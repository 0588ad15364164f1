import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { test } from "node:test";
import { PAGE_BYTES } from "../../../src/memory/geometry.js";
import { GuestRam } from "../../../src/memory/ram.js";
import { FIRST_EPOCH } from "../../../src/memory/words.js";
import { HEADER_BYTES, readHeader } from "../../../src/protocol/frame.js";
import {
  FIRST_DATA_SEQUENCE,
  FRAME_TYPES,
  MAX_PAGES_FRAME_BYTES,
  PURPOSE,
} from "../../../src/protocol/pages.js";
import { MigrationTables } from "../../../src/source/migration-tables.js";
import { PageSender } from "../../../src/source/page-sender.js";
import { RateLimit } from "../../../src/source/rate-limit.js";
import { completeTuning } from "../../../src/source/tuning.js";

const PAGES = 64;

/** Frame types and the last byte of each, in the order in which they came. */
function framesOf(stream: Buffer): string[] {
  const frames: string[] = [];
  let at = 0;
  for (let sequence = FIRST_DATA_SEQUENCE; at < stream.byteLength; sequence += 1) {
    const { type, bodyBytes } = readHeader(stream.subarray(at), sequence, MAX_PAGES_FRAME_BYTES);
    at += HEADER_BYTES + bodyBytes;
    frames.push(`${String(type)} ${String(stream[at - 1])}`);
  }
  return frames;
}

test("frames of one page and of deltas keep their order among large ones and barriers, however slowly they are read", async () => {
  const server = net.createServer({ pauseOnConnect: true }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as net.AddressInfo;
  const socket = net.connect(port, "127.0.0.1");
  const [peer] = (await once(server, "connection")) as [net.Socket];
  try {
    if (socket.connecting) await once(socket, "connect");
    const ram = GuestRam.allocate(PAGES * PAGE_BYTES, 1);
    ram.stamps.fill(FIRST_EPOCH);
    const bytes = new Uint8Array(ram.buffer);
    for (let page = 0; page < PAGES; page += 1) {
      bytes.fill(page + 1, page * PAGE_BYTES, (page + 1) * PAGE_BYTES);
    }
    const tables = MigrationTables.create(ram.pageCount, RateLimit.createState());
    const sender = new PageSender(
      ram,
      tables,
      socket,
      "bulkBytes",
      FIRST_DATA_SEQUENCE,
      completeTuning(),
    );
    const expected: string[] = [];
    let sent = 0;
    const send = (pages: readonly number[], type: number = FRAME_TYPES.PAGES) => {
      for (const page of pages) sender.add(page, type === FRAME_TYPES.DELTAS);
      sent += sender.flush(PURPOSE.PULL, 0);
      expected.push(`${String(type)} ${String((pages.at(-1) ?? 0) + 1)}`);
    };
    const everyPage = Array.from({ length: PAGES }, (_, page) => page);
    // Nobody reads: the connection's queue fills up, and its own frames have to wait for others.
    let waits = 0;
    for (let round = 0; round < 4000; round += 1) {
      send([round % PAGES]);
      waits += socket.writableLength > 0 ? 1 : 0;
      if (round % 100 === 50) send(everyPage);
      if (round % 100 === 60) {
        // The first byte of each, so that the last of its first block is as it was.
        for (const page of everyPage) bytes[page * PAGE_BYTES]! += 1;
        send(everyPage, FRAME_TYPES.DELTAS);
      }
      if (round % 100 !== 75) continue;
      sender.barrier(round % 256);
      sent += HEADER_BYTES + 4;
      expected.push(`${String(FRAME_TYPES.BARRIER)} 0`);
    }
    assert.ok(waits > 0 && waits < 4000, `${String(waits)} frames had to wait`);
    const chunks: Buffer[] = [];
    let received = 0;
    peer.on("data", (chunk: Buffer) => {
      chunks.push(chunk);
      received += chunk.byteLength;
      if (received >= sent) peer.emit("all");
    });
    peer.resume();
    await once(peer, "all");
    assert.equal(received, sent);
    assert.deepEqual(framesOf(Buffer.concat(chunks)), expected);
  } finally {
    socket.destroy();
    peer.destroy();
    server.close();
  }
});
