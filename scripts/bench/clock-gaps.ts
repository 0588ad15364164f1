import { once } from "node:events";
import { availableParallelism } from "node:os";
import { isMainThread, parentPort, Worker } from "node:worker_threads";

/**
 * The limit of the machine for a tail of any kind: as many threads as there are cores read the clock without a break, and
 * nothing else is done. A thread that finds a gap had no core meanwhile: the system had given it to somebody, or the
 * hypervisor had.
 */

const SPAN_MS = 2000;
/** A clock that is read without a break moves by less than a microsecond at a time. */
const GAP_MS = 0.3;

/** Means of all threads, but for the longest. */
export interface ClockGaps {
  readonly perSecond: number;
  readonly longestMs: number;
  readonly lostPercent: number;
}

export async function clockGaps(): Promise<ClockGaps> {
  const threads = Array.from({ length: availableParallelism() }, startReader);
  const told = await Promise.all(threads.map((thread) => once(thread, "message")));
  const gapsMs = told.flatMap(([gaps]) => gaps as readonly number[]);
  const watchedMs = SPAN_MS * threads.length;
  const lostMs = gapsMs.reduce((sum, ms) => sum + ms, 0);
  return {
    perSecond: (gapsMs.length * 1000) / watchedMs,
    longestMs: Math.max(0, ...gapsMs),
    lostPercent: (lostMs * 100) / watchedMs,
  };
}

function startReader(): Worker {
  return new Worker(new URL(import.meta.url));
}

function readClock(): void {
  const gapsMs: number[] = [];
  const endMs = performance.now() + SPAN_MS;
  for (let lastMs = performance.now(); lastMs < endMs;) {
    const nowMs = performance.now();
    if (nowMs - lastMs >= GAP_MS) gapsMs.push(nowMs - lastMs);
    lastMs = nowMs;
  }
  parentPort?.postMessage(gapsMs);
}

if (!isMainThread) readClock();
