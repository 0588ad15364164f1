import { parentPort, workerData } from "node:worker_threads";
import { AtomicPageBitmap } from "../../../src/memory/bitmap.js";

/** What a claimer is born with. It claims every page, then takes every page; reports that, and what it claims in runs. */
export interface ClaimSeat {
  readonly bitmap: SharedArrayBuffer;
  readonly pageCount: number;
  readonly threads: number;
  /** After so many pages all threads meet, and go on at the same moment. */
  readonly stride: number;
  /** A set of all pages, and an empty one into which they are claimed in runs. */
  readonly wanted: SharedArrayBuffer;
  readonly runs: SharedArrayBuffer;
  /** One word that counts their arrivals. */
  readonly meetings: SharedArrayBuffer;
}

/** Pages that this thread was told to be the one for. */
export interface ClaimReport {
  readonly claimed: readonly number[];
  readonly taken: readonly number[];
  readonly claimedInRuns: readonly number[];
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
const wanted = new AtomicPageBitmap(seat.pageCount, seat.wanted);
const runs = new AtomicPageBitmap(seat.pageCount, seat.runs);
const claimedInRuns: number[] = [];
for (let page = 0; page < seat.pageCount; page += seat.stride) {
  meet();
  for (const mine of runs.claimFrom(wanted, page, seat.stride)) claimedInRuns.push(mine);
}
parentPort?.postMessage({ claimed, taken, claimedInRuns } satisfies ClaimReport);
