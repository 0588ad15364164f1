import { once } from "node:events";
import net from "node:net";
import { fileURLToPath } from "node:url";
import { formatAddress, parseAddress } from "../../src/transport/address.js";
import { spawnNode } from "./children.js";

/**
 * A link that is longer or narrower than loopback: passes on what it is sent, byte for byte, when its time has come. Run as
 * a program it is a process of its own, so that nothing else keeps it waiting.
 */

/** As much may be under way in one direction of one connection: more than any rate times delay that is measured here. */
const MOST_WAITING_BYTES = 16 * 2 ** 20;
/** A narrow link holds this much at its own rate, as a router does; what is more waits with the sender. */
const QUEUE_MS = 100;
/** It takes turns packet by packet, or a page would wait for all that was read from another connection at once. */
const PACKET_BYTES = 1448;

export interface LinkShape {
  readonly roundTripMs?: number;
  /** In each direction, over all connections. */
  readonly bytesPerSecond?: number;
}

export interface Link {
  /** Where it listens; what connects there is connected to the target. */
  readonly address: string;
  close(): void;
}

/** A link to the host at `target`, in a process of its own. */
export async function openLink(target: string, shape: LinkShape): Promise<Link> {
  const self = fileURLToPath(import.meta.url);
  const child = spawnNode([self, target, JSON.stringify(shape)]);
  const [line] = (await once(child.stdout.setEncoding("utf8"), "data")) as [string];
  return { address: line.trim(), close: () => child.kill("SIGKILL") };
}

/**
 * The same, in this process. `crossed` hears of what came from the host that connects: how many bytes, and on which of its
 * connections, from 0 on.
 */
export async function relay(
  target: string,
  shape: LinkShape = {},
  crossed: (byteCount: number, connection: number) => void = () => undefined,
): Promise<Link> {
  const address = parseAddress(target);
  if (address === undefined) throw new Error(`${target} is no address`);
  const [there, back] = [new Direction(shape), new Direction(shape)];
  let connections = 0;
  const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (near) => {
    const connection = connections;
    connections += 1;
    const far = net.connect({ ...address, allowHalfOpen: true, noDelay: true });
    near.on("data", ({ byteLength }: Buffer) => {
      crossed(byteLength, connection);
    });
    carry(near, far, there);
    carry(far, near, back);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as net.AddressInfo;
  return {
    address: formatAddress({ host: "127.0.0.1", port }),
    close: () => {
      server.close();
    },
  };
}

/** What all connections send one way goes over it in the order in which it came. */
class Direction {
  readonly packetBytes: number;
  readonly mostWaitingBytes: number;
  private readonly delayMs: number;
  private readonly bytesPerMs: number;
  private freeAtMs = 0;

  constructor({ roundTripMs = 0, bytesPerSecond = Number.POSITIVE_INFINITY }: LinkShape) {
    this.delayMs = roundTripMs / 2;
    this.bytesPerMs = bytesPerSecond / 1000;
    this.packetBytes = Number.isFinite(bytesPerSecond) ? PACKET_BYTES : MOST_WAITING_BYTES;
    this.mostWaitingBytes = Math.min(QUEUE_MS * this.bytesPerMs, MOST_WAITING_BYTES);
  }

  /** When so many bytes that come now have arrived. */
  dueMs(byteCount: number): number {
    const fromMs = Math.max(this.freeAtMs, performance.now());
    this.freeAtMs = fromMs + byteCount / this.bytesPerMs;
    return this.freeAtMs + this.delayMs;
  }
}

/** One direction of one connection. */
function carry(from: net.Socket, to: net.Socket, direction: Direction): void {
  const waiting: { readonly dueMs: number; readonly bytes: Buffer | null }[] = [];
  let waitingBytes = 0;
  let timer: NodeJS.Timeout | undefined;

  function pass(): void {
    timer = undefined;
    to.cork();
    for (let next = waiting[0]; next !== undefined; [next] = waiting) {
      const leftMs = next.dueMs - performance.now();
      if (leftMs > 0) {
        timer = setTimeout(pass, leftMs);
        break;
      }
      waiting.shift();
      if (next.bytes === null) to.end();
      else to.write(next.bytes);
      waitingBytes -= next.bytes?.byteLength ?? 0;
    }
    to.uncork();
    flow();
  }

  function flow(): void {
    if (waitingBytes + to.writableLength < direction.mostWaitingBytes) from.resume();
    else from.pause();
  }

  function send(bytes: Buffer | null): void {
    const byteCount = bytes?.byteLength ?? 0;
    waiting.push({ dueMs: direction.dueMs(byteCount), bytes });
    waitingBytes += byteCount;
  }

  function take(bytes: Buffer): void {
    const { packetBytes } = direction;
    for (let at = 0; at < bytes.byteLength; at += packetBytes) {
      send(bytes.subarray(at, at + packetBytes));
    }
    if (timer === undefined) pass();
    else flow();
  }

  from.on("data", take);
  from.on("end", () => {
    send(null);
    if (timer === undefined) pass();
  });
  to.on("drain", flow);
  from.on("error", () => to.destroy());
  to.on("error", () => from.destroy());
}

const [, program, target, shape] = process.argv;
if (program === fileURLToPath(import.meta.url)) {
  const { address } = await relay(target ?? "", JSON.parse(shape ?? "{}") as LinkShape);
  console.log(address);
}
