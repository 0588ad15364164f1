import { once } from "node:events";
import net from "node:net";
import { fileURLToPath } from "node:url";
import { PAGE_BYTES } from "../../src/memory/geometry.js";
import { createPageKernel } from "../../src/memory/kernel.js";
import { sendByWindow } from "../../src/platform/congestion-control.js";
import { descriptorOf } from "../../src/transport/descriptor.js";
import { backMemory } from "./back-memory.js";
import { spawnNode } from "./children.js";
import { type Span, sharedNowMs } from "./shared-clock.js";
import { bufferOf, sharedMemory } from "./shared-memory.js";

/**
 * The limit of the machine for one connection: a bare process sends pieces of shared memory, another reads them
 * straight into shared memory, and nothing else is done, except that a pump that checks looks at each page as we
 * do: the sender whether it is zero, and both at its checksum. Run as a program it is one of the two processes.
 */

const PIECE_BYTES = 1024 * 1024;
/** Guest memory is asked for in the same way, or the pump would not be the limit. */
const HUGE = true;
/** As much may wait for the socket as our own sender lets wait. */
const WAITING_BYTES = 3 * PIECE_BYTES;

/** V8 compiles a kernel well only once it has run some hundred times. */
const REHEARSALS = 1000;

/** What a pump does besides: look at each page, and have TCP send by a window as our page path does within a machine. */
export interface PumpOptions {
  readonly checks?: boolean;
  readonly byWindow?: boolean;
}

/** Bytes per second of one run over `byteCount` bytes. */
export async function rawPump(byteCount: number, options: PumpOptions = {}): Promise<number> {
  const { startMs, endMs } = await pumpSpan(byteCount, options);
  return (byteCount * 1000) / (endMs - startMs);
}

/** One run: from the connection to the last byte. */
export async function pumpSpan(
  byteCount: number,
  { checks = false, byWindow = false }: PumpOptions,
): Promise<Span> {
  const self = fileURLToPath(import.meta.url);
  await backMemory(byteCount);
  const told = [
    String(byteCount),
    checks ? "checks" : "trusts",
    byWindow ? "by window" : "as it is",
  ];
  const receiver = spawnNode([self, "receive", ...told]);
  const lines = receiver.stdout.setEncoding("utf8");
  const received = once(receiver, "exit");
  const [port] = (await once(lines, "data")) as [string];
  const sender = spawnNode([self, "send", ...told, port.trim()]);
  // Both may have ended by the time that the line is read.
  const ended = Promise.all([received, once(sender, "exit")]);
  const [line] = (await once(lines, "data")) as [string];
  await ended;
  return JSON.parse(line) as Span;
}

/** What is done to each page besides moving it. */
type Look = (page: number) => void;

/** Memory of the pump, and what to do with each of its pages on this side. */
function pumpMemory(byteCount: number, checks: boolean, isSender: boolean) {
  const memory = sharedMemory(byteCount, HUGE);
  if (!checks) return { buffer: bufferOf(memory), look: undefined };
  const kernel = createPageKernel(memory);
  const look: Look = (page) => {
    if (isSender && kernel.zeroPages(page * PAGE_BYTES, 1) === 1) throw new Error("it was filled");
    kernel.checksumPage(page * PAGE_BYTES);
    kernel.checksumHigh();
  };
  return { buffer: bufferOf(memory), look };
}

function receive(byteCount: number, checks: boolean): void {
  const { buffer, look } = pumpMemory(byteCount, checks, false);
  for (let run = 0; run < REHEARSALS; run += 1) look?.(0);
  const server = net.createServer({ pauseOnConnect: true }, (accepted) => {
    const fd = descriptorOf(accepted);
    const startMs = sharedNowMs();
    let at = 0;
    const socket = new net.Socket({
      fd,
      readable: true,
      writable: true,
      onread: {
        buffer: () => Buffer.from(buffer, at, Math.min(PIECE_BYTES, byteCount - at)),
        callback: (read: number) => {
          const from = at;
          at += read;
          // Pages that are whole now.
          for (let page = pageOf(from); page < pageOf(at); page += 1) look?.(page);
          if (at < byteCount) return true;
          const span: Span = { startMs, endMs: sharedNowMs() };
          process.stdout.write(`${JSON.stringify(span)}\n`, () => {
            process.exit(0);
          });
          return false;
        },
      },
    } as net.SocketConstructorOpts);
    socket.resume();
  });
  server.listen(0, "127.0.0.1", () => {
    process.stdout.write(`${String((server.address() as net.AddressInfo).port)}\n`);
  });
}

function pageOf(at: number): number {
  return Math.floor(at / PAGE_BYTES);
}

function send(byteCount: number, port: number, { checks, byWindow }: Required<PumpOptions>): void {
  const { buffer, look } = pumpMemory(byteCount, checks, true);
  new Uint8Array(buffer).fill(1);
  for (let run = 0; run < REHEARSALS; run += 1) look?.(0);
  const socket = net.connect({ host: "127.0.0.1", port, noDelay: true });
  let at = 0;
  let waiting = 0;
  const pump = () => {
    while (at < byteCount && waiting < WAITING_BYTES) {
      waiting += PIECE_BYTES;
      for (let page = pageOf(at); page < pageOf(at + PIECE_BYTES); page += 1) look?.(page);
      socket.write(Buffer.from(buffer, at, PIECE_BYTES), () => {
        waiting -= PIECE_BYTES;
        pump();
      });
      at += PIECE_BYTES;
    }
  };
  socket.on("connect", () => {
    const fd = descriptorOf(socket);
    if (byWindow && (fd === undefined || !sendByWindow(fd))) {
      throw new Error("TCP cannot be had to send by a window alone here");
    }
    pump();
  });
  socket.on("error", () => {
    process.exit(0);
  });
  socket.on("close", () => {
    process.exit(0);
  });
}

const [, program, role, byteCount, checking, way, port] = process.argv;
if (program === fileURLToPath(import.meta.url)) {
  const checks = checking === "checks";
  const byWindow = way === "by window";
  if (role === "receive") receive(Number(byteCount), checks);
  if (role === "send") send(Number(byteCount), Number(port), { checks, byWindow });
}
