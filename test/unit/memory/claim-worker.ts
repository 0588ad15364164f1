import { parentPort, workerData } from "node:worker_threads";
import { AtomicPageBitmap } from "../../../src/memory/bitmap.js";

/** What a claimer is born with. It claims every page, then takes every page, and reports both. */
export interface ClaimSeat {
  readonly bitmap: SharedArrayBuffer;
  readonly pageCount: number;
  readonly threads: number;
  /** After so many pages all threads meet, and go on at the same moment. */
  readonly stride: number;
  /** One word that counts their arrivals. */
  readonly meetings: SharedArrayBuffer;
}

/** Pages that this thread was told to be the one for. */
export interface ClaimReport {
  readonly claimed: readonly number[];
  readonly taken: readonly number[];
}

const seat = workerData as ClaimSeat;
const bitmap = new AtomicPageBitmap(seat.pageCount, seat.bitmap);
const meetings = new Int32Array(seat.meetings);
let met = 0;

function meet(): void {
  met += 1;
  Atomics.add(meetings, 0, 1);
  // Spinning, not sleeping, so that they leave together.
  while (Atomics.load(meetings, 0) < seat.threads * met);
}

/** The pages for which `isMine` is true, asked of all pages in order. */
function ask(isMine: (page: number) => boolean): number[] {
  const mine: number[] = [];
  for (let page = 0; page < seat.pageCount; page += 1) {
    if (page % seat.stride === 0) meet();
    if (isMine(page)) mine.push(page);
  }
  return mine;
}

const claimed = ask((page) => bitmap.claim(page));
const taken = ask((page) => bitmap.take(page));
parentPort?.postMessage({ claimed, taken } satisfies ClaimReport);
