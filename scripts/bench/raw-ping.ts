import { once } from "node:events";
import { writeSync } from "node:fs";
import net from "node:net";
import { createHistogram, type Histogram } from "node:perf_hooks";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { PAGE_BYTES } from "../../src/memory/geometry.js";
import { descriptorOf } from "../../src/transport/descriptor.js";
import { spawnNode } from "./children.js";
import { type Span, sharedNowMs } from "./shared-clock.js";

/**
 * The limit of the machine for a page fault: a thread asks for a page and sleeps, another process sends it, and
 * another thread of the first takes it in and wakes the one that asked. So three threads are woken, as for a fault, and
 * nothing else is done. Run as a program it is one of the two processes.
 */

const REQUEST_BYTES = 32;

/** One round trip: when it began, on the clock that all processes share, and how long it took. */
interface Trip {
  readonly atMs: number;
  readonly us: number;
}

/** Asks without a break while `meanwhile` runs; returns how long those took that were begun within its span, in µs. */
export async function rawPing(meanwhile: () => Promise<Span>): Promise<Histogram> {
  const self = fileURLToPath(import.meta.url);
  const answerer = spawnNode([self, "answer"]);
  const [port] = (await once(answerer.stdout.setEncoding("utf8"), "data")) as [string];
  const asker = spawnNode([self, "ask", port.trim()]);
  const lines = createInterface({ input: asker.stdout });
  await once(lines, "line");
  try {
    const { startMs, endMs } = await meanwhile();
    asker.stdin.end();
    const [told] = (await once(lines, "line")) as [string];
    const trips = JSON.parse(told) as readonly Trip[];
    const latencyUs = createHistogram();
    for (const { atMs, us } of trips) {
      if (atMs >= startMs && atMs < endMs) latencyUs.record(Math.max(1, Math.round(us)));
    }
    return latencyUs;
  } finally {
    asker.kill("SIGKILL");
    answerer.kill("SIGKILL");
  }
}

function answer(): void {
  const page = new Uint8Array(PAGE_BYTES).fill(1);
  const server = net.createServer({ noDelay: true }, (socket) => {
    let asked = 0;
    socket.on("data", (bytes) => {
      asked += bytes.length;
      for (; asked >= REQUEST_BYTES; asked -= REQUEST_BYTES) socket.write(page);
    });
    socket.on("error", () => process.exit(0));
  });
  server.listen(0, "127.0.0.1", () => {
    process.stdout.write(`${String((server.address() as net.AddressInfo).port)}\n`);
  });
}

/** Words that both threads of the asker see: pages that have come, and whether it is to end. */
const WORDS = { PAGES: 0, END: 1 } as const;

async function ask(port: number): Promise<void> {
  const words = new Int32Array(new SharedArrayBuffer(8));
  const socket = net.connect({ host: "127.0.0.1", port, noDelay: true });
  await once(socket, "connect");
  let came = 0;
  socket.on("data", (bytes) => {
    came += bytes.length;
    if (came < PAGE_BYTES) return;
    came -= PAGE_BYTES;
    Atomics.add(words, WORDS.PAGES, 1);
    Atomics.notify(words, WORDS.PAGES);
  });
  const fd = descriptorOf(socket);
  const thread = new Worker(new URL(import.meta.url), { workerData: { words, fd } });
  thread.on("message", (line: string) => process.stdout.write(`${line}\n`));
  process.stdin.resume().on("end", () => Atomics.store(words, WORDS.END, 1));
}

/** The thread that asks, and sleeps until the page is here. */
function vcpu({ words, fd }: { words: Int32Array; fd: number }): void {
  const request = new Uint8Array(REQUEST_BYTES);
  const trips: Trip[] = [];
  parentPort?.postMessage("asking");
  for (let page = 0; Atomics.load(words, WORDS.END) === 0; page += 1) {
    const atMs = sharedNowMs();
    writeSync(fd, request);
    // Again and again: a page is counted first and told of then, which may wake whoever waits for the next one already.
    while (Atomics.load(words, WORDS.PAGES) === page) Atomics.wait(words, WORDS.PAGES, page);
    trips.push({ atMs, us: (sharedNowMs() - atMs) * 1000 });
  }
  parentPort?.postMessage(JSON.stringify(trips));
}

const [, program, role, port] = process.argv;
if (!isMainThread) vcpu(workerData as Parameters<typeof vcpu>[0]);
else if (program === fileURLToPath(import.meta.url)) {
  if (role === "answer") answer();
  if (role === "ask") await ask(Number(port));
}
