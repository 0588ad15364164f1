import { parentPort, workerData } from "node:worker_threads";
import { AtomicPageBitmap } from "../../../src/memory/bitmap.js";

/** What a claimer is born with. It claims every page, then takes every page, and reports both. */
export interface ClaimSeat {
  readonly bitmap: SharedArrayBuffer;
  readonly pageCount: number;
  readonly threads: number;
  /** One word that counts the threads which have come to a line; all cross it together. */
  readonly line: SharedArrayBuffer;
}

/** Pages that this thread was told to be the one for. */
export interface ClaimReport {
  readonly claimed: readonly number[];
  readonly taken: readonly number[];
}

const seat = workerData as ClaimSeat;
const bitmap = new AtomicPageBitmap(seat.pageCount, seat.bitmap);
const line = new Int32Array(seat.line);
const pages = Array.from({ length: seat.pageCount }, (_, page) => page);

function cross(times: number): void {
  Atomics.add(line, 0, 1);
  // Spinning, not sleeping: the threads are to leave at the same moment.
  while (Atomics.load(line, 0) < seat.threads * times);
}

cross(1);
const claimed = pages.filter((page) => bitmap.claim(page));
cross(2);
const taken = pages.filter((page) => bitmap.take(page));
parentPort?.postMessage({ claimed, taken } satisfies ClaimReport);
