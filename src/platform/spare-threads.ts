import { once } from "node:events";
import { parentPort, type MessagePort, Worker, workerData } from "node:worker_threads";
import { failureOf, MigrationError } from "../failure.js";
import { goThrough, type Steps } from "./steps.js";

interface Spare {
  readonly worker: Worker;
  /** Hears of a spare that dies: it is not missed. */
  readonly forget: () => void;
}

/** Threads that have loaded their code and wait for a seat, by the file that they run. */
const spares = new Map<string, Spare[]>();

/**
 * Starts threads until `count` of them wait for work at `entry`, an ES module. A thread of Node.js takes some
 * 50 ms of a core to start: whoever knows that threads will be wanted has that behind it when they are. A spare
 * takes about 9 MiB, and does not keep the process alive. Where the system starts no more, there are fewer.
 */
export function keepSpares(entry: URL, count: number): void {
  const waiting = sparesOf(entry);
  while (waiting.length < count) {
    const worker = tryToStart(entry);
    if (worker === undefined) return;
    worker.unref();
    const forget = () => {
      const at = waiting.findIndex((spare) => spare.worker === worker);
      if (at >= 0) waiting.splice(at, 1);
    };
    worker.on("error", forget);
    worker.on("exit", forget);
    waiting.push({ worker, forget });
  }
}

/** Ends the spares of `entry`; those that were taken run on. */
export async function dropSpares(entry: URL): Promise<void> {
  const dropped = sparesOf(entry).splice(0);
  await Promise.all(
    dropped.map(async ({ worker }) => {
      const exit = once(worker, "exit");
      await worker.terminate();
      await exit;
    }),
  );
}

/** A thread that runs `entry` from this seat on: a spare one if there is any. Throws THREADS_SHORT. */
export function startThread(entry: URL, seat: object): Worker {
  const worker = takeSpare(entry) ?? newWorker(entry, { waits: false });
  worker.postMessage(seat);
  return worker;
}

/** What each of `starts` starts, or nothing: what ran already when one of them threw is ended. */
export function allOrNone<Thread extends { terminate(): Promise<unknown> }>(
  starts: readonly (() => Thread)[],
): Thread[] {
  const started: Thread[] = [];
  try {
    for (const start of starts) started.push(start());
    return started;
  } catch (error) {
    for (const thread of started) void thread.terminate();
    throw error;
  }
}

/**
 * In a thread's entry: `sit` is called with the seat once there is one, and until then a spare goes through `rehearsal`, step
 * by step. Messages that follow the seat reach whoever listens on the port by the time that `sit` returns.
 */
export function takeSeat(sit: (seat: unknown, main: MessagePort) => void, rehearsal?: Steps): void {
  const main = parentPort;
  if (main === null) throw new Error("a thread's entry was run as a program");
  main.once("message", (seat: unknown) => {
    void rehearsal?.return(undefined);
    sit(seat, main);
  });
  if (rehearsal === undefined || !(workerData as Start).waits) return;
  // What goes wrong in a rehearsal is not to end a thread that others wait for: its code is compiled later.
  goThrough(rehearsal).catch(() => undefined);
}

/** What a thread hears before its seat. */
interface Start {
  /** It is a spare: nobody wants it yet. */
  readonly waits: boolean;
}

function newWorker(entry: URL, start: Start): Worker {
  try {
    // Threads are given descriptors that others have opened, and Node.js would warn where one closes such a descriptor. So it
    // does not close what a guest's module leaves open, either.
    return new Worker(entry, { workerData: start, trackUnmanagedFds: false });
  } catch (error) {
    const cause = error instanceof Error ? error.message : String(error);
    throw new MigrationError({ code: "THREADS_SHORT", cause }, { cause: error });
  }
}

/** A spare, which nobody misses where there is none. */
function tryToStart(entry: URL): Worker | undefined {
  try {
    return newWorker(entry, { waits: true });
  } catch (error) {
    failureOf(error);
    return undefined;
  }
}

function takeSpare(entry: URL): Worker | undefined {
  const spare = sparesOf(entry).shift();
  if (spare === undefined) return undefined;
  const { worker, forget } = spare;
  worker.off("error", forget);
  worker.off("exit", forget);
  worker.ref();
  return worker;
}

function sparesOf(entry: URL): Spare[] {
  let waiting = spares.get(entry.href);
  if (waiting === undefined) spares.set(entry.href, (waiting = []));
  return waiting;
}
