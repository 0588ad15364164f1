import { spawn } from "node:child_process";
import { once } from "node:events";
import net from "node:net";
import { fileURLToPath } from "node:url";
import { backMemory } from "./back-memory.js";
import { sharedBuffer } from "./shared-buffer.js";

/**
 * The limit of the machine for one connection: a bare process sends pieces of shared memory, another reads them
 * straight into shared memory, and nothing else is done. Run as a program it is one of the two processes.
 */

const PIECE_BYTES = 1024 * 1024;
/** Guest memory is asked for in the same way, or the pump would not be the limit. */
const HUGE = true;
/** As much may wait for the socket as our own sender lets wait. */
const WAITING_BYTES = 3 * PIECE_BYTES;

/** Bytes per second of one run over `byteCount` bytes. */
export async function rawPump(byteCount: number): Promise<number> {
  const self = fileURLToPath(import.meta.url);
  await backMemory(2 * byteCount);
  const receiver = spawn(process.execPath, [self, "receive", String(byteCount)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const lines = receiver.stdout.setEncoding("utf8");
  const [port] = (await once(lines, "data")) as [string];
  const sender = spawn(process.execPath, [self, "send", String(byteCount), port.trim()], {
    stdio: ["ignore", "inherit", "inherit"],
  });
  const [ms] = (await once(lines, "data")) as [string];
  await Promise.all([once(receiver, "exit"), once(sender, "exit")]);
  return byteCount / (Number(ms) / 1000);
}

function receive(byteCount: number): void {
  const buffer = sharedBuffer(byteCount, HUGE);
  const server = net.createServer({ pauseOnConnect: true }, (accepted) => {
    const { fd } = (accepted as unknown as { _handle: { fd: number } })._handle;
    const startMs = performance.now();
    let at = 0;
    const socket = new net.Socket({
      fd,
      readable: true,
      writable: true,
      onread: {
        buffer: () => Buffer.from(buffer, at, Math.min(PIECE_BYTES, byteCount - at)),
        callback: (read: number) => {
          at += read;
          if (at < byteCount) return true;
          process.stdout.write(`${String(performance.now() - startMs)}\n`, () => {
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

function send(byteCount: number, port: number): void {
  const buffer = sharedBuffer(byteCount, HUGE);
  new Uint8Array(buffer).fill(1);
  const socket = net.connect({ host: "127.0.0.1", port, noDelay: true });
  let at = 0;
  let waiting = 0;
  const pump = () => {
    while (at < byteCount && waiting < WAITING_BYTES) {
      waiting += PIECE_BYTES;
      socket.write(Buffer.from(buffer, at, PIECE_BYTES), () => {
        waiting -= PIECE_BYTES;
        pump();
      });
      at += PIECE_BYTES;
    }
  };
  socket.on("connect", pump);
  socket.on("error", () => {
    process.exit(0);
  });
  socket.on("close", () => {
    process.exit(0);
  });
}

const [, program, role, byteCount, port] = process.argv;
if (program === fileURLToPath(import.meta.url)) {
  if (role === "receive") receive(Number(byteCount));
  if (role === "send") send(Number(byteCount), Number(port));
}
