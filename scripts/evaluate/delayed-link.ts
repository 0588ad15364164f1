import { spawn } from "node:child_process";
import { once } from "node:events";
import net from "node:net";
import { fileURLToPath } from "node:url";
import { formatAddress, parseAddress } from "../../src/transport/address.js";

/**
 * A link that is longer than loopback: a process of its own that passes on what it is sent, byte for byte, half a round
 * trip later. Run as a program it is that process.
 */

/** As much may be under way in one direction of one connection: more than any rate times delay that is measured here. */
const MOST_WAITING_BYTES = 16 * 2 ** 20;

export interface DelayedLink {
  /** Where it listens; what connects there is connected to the target. */
  readonly address: string;
  close(): void;
}

/** A link to the host at `target` with this round trip. */
export async function openDelayedLink(target: string, roundTripMs: number): Promise<DelayedLink> {
  const self = fileURLToPath(import.meta.url);
  const child = spawn(process.execPath, [self, target, String(roundTripMs)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const close = () => {
    process.off("exit", close);
    child.kill("SIGKILL");
  };
  process.on("exit", close);
  const [line] = (await once(child.stdout.setEncoding("utf8"), "data")) as [string];
  return { address: line.trim(), close };
}

/** One direction of one connection. */
function delay(from: net.Socket, to: net.Socket, delayMs: number): void {
  const waiting: { readonly dueMs: number; readonly bytes: Buffer | null }[] = [];
  let waitingBytes = 0;
  let timer: NodeJS.Timeout | undefined;

  function pass(): void {
    timer = undefined;
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
    flow();
  }

  function flow(): void {
    if (waitingBytes + to.writableLength < MOST_WAITING_BYTES) from.resume();
    else from.pause();
  }

  function take(bytes: Buffer | null): void {
    waiting.push({ dueMs: performance.now() + delayMs, bytes });
    waitingBytes += bytes?.byteLength ?? 0;
    timer ??= setTimeout(pass, delayMs);
    flow();
  }

  from.on("data", take);
  from.on("end", () => {
    take(null);
  });
  to.on("drain", flow);
  from.on("error", () => to.destroy());
  to.on("error", () => from.destroy());
}

function serve(target: string, roundTripMs: number): void {
  const address = parseAddress(target);
  if (address === undefined) throw new Error(`${target} is no address`);
  const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (near) => {
    const far = net.connect({ ...address, allowHalfOpen: true, noDelay: true });
    delay(near, far, roundTripMs / 2);
    delay(far, near, roundTripMs / 2);
  });
  server.listen(0, "127.0.0.1", () => {
    const { port } = server.address() as net.AddressInfo;
    console.log(formatAddress({ host: "127.0.0.1", port }));
  });
}

const [, program, target, roundTripMs] = process.argv;
if (program === fileURLToPath(import.meta.url)) serve(target ?? "", Number(roundTripMs));
