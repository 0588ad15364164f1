import type { Clock } from "../../clock.js";
import { PAGE_BYTES } from "../../memory/geometry.js";
import { createPageKernel } from "../../memory/kernel.js";
import type { GuestRam } from "../../memory/ram.js";
import { NEVER } from "../../memory/words.js";
import { EpochHistory } from "../epoch-history.js";
import type { HeatClock } from "../heat-clock.js";
import type { WindowCount } from "./working-set.js";

/** Doubling, from the pace of the heat clock to about as far as it remembers. */
const WINDOWS_MS = [40, 80, 160, 320, 640, 1280, 2560, 5120, 10_240, 20_480, 40_960] as const;
/** Between two looks: much longer than a look takes. */
const LOOK_INTERVAL_MS = 250;
/** Stamps read in one go; then the main thread may do something else. A fraction of a millisecond. */
const SLICE_PAGES = 64 * 1024;
/** Pages looked at to learn how many have contents: a share is known to about 1.5 % by them. */
const SAMPLED_PAGES = 4096;

export interface GuestSample {
  /** Written pages by how far one looks back, the mean of all looks; shortest first. */
  readonly windows: readonly WindowCount[];
  /** Pages that are not zero, as far as a sample tells. */
  readonly contentPages: number;
}

/**
 * Looks at a guest's stamps for `durationMs`, and at some of its pages. The guest does not notice: nothing is
 * cleared, no epoch is opened and nobody is waited for, so any number may look at once.
 */
export async function sampleGuest(
  ram: GuestRam,
  heat: Pick<HeatClock, "entries">,
  durationMs: number,
  clock: Clock,
): Promise<GuestSample> {
  const startMs = clock.nowMs();
  const sums = WINDOWS_MS.map(() => ({ pages: 0, looks: 0 }));
  for (;;) {
    (await look(ram, heat, clock.nowMs())).forEach((pages, at) => {
      const sum = sums[at];
      if (pages === undefined || sum === undefined) return;
      sum.pages += pages;
      sum.looks += 1;
    });
    const leftMs = startMs + durationMs - clock.nowMs();
    if (leftMs <= 0) break;
    await new Promise((resolve) => setTimeout(resolve, Math.min(leftMs, LOOK_INTERVAL_MS)));
  }
  const windows = sums.flatMap(({ pages, looks }, at) =>
    looks === 0 ? [] : [{ windowMs: WINDOWS_MS[at] ?? 0, pages: pages / looks }],
  );
  return { windows, contentPages: await countContents(ram) };
}

/** Pages written within each window; undefined for one that began before anybody kept the time. */
async function look(
  ram: GuestRam,
  heat: Pick<HeatClock, "entries">,
  nowMs: number,
): Promise<readonly (number | undefined)[]> {
  const entries = heat.entries();
  const history = new EpochHistory(entries);
  const sinceMs = entries[0]?.atMs ?? nowMs;
  const known = WINDOWS_MS.filter((windowMs) => nowMs - windowMs >= sinceMs);
  const oldest = known.map((windowMs) => history.firstSince(nowMs - windowMs));
  const counts = known.map(() => 0);
  await inSlices(ram.pageCount, (page) => {
    const stamp = ram.stamps[page] ?? NEVER;
    // The longest window has the oldest epoch; who is not in it is in none.
    for (let at = oldest.length - 1; at >= 0 && stamp >= oldest[at]!; at -= 1) counts[at]! += 1;
  });
  return WINDOWS_MS.map((_, at) => counts[at]);
}

/** Pages never written are zero and not read; of the others some are, evenly over memory. */
async function countContents(ram: GuestRam): Promise<number> {
  const kernel = createPageKernel(ram.handle.memory);
  const step = Math.max(1, Math.floor(ram.pageCount / SAMPLED_PAGES));
  const sampled = Math.floor(ram.pageCount / step);
  let full = 0;
  await inSlices(sampled, (at) => {
    const page = at * step;
    if (ram.stamps[page] !== NEVER) full += 1 - kernel.zeroPages(page * PAGE_BYTES, 1);
  });
  return Math.round((full / Math.max(1, sampled)) * ram.pageCount);
}

async function inSlices(count: number, visit: (index: number) => void): Promise<void> {
  for (let start = 0; start < count; start += SLICE_PAGES) {
    if (start > 0) await new Promise((resolve) => setImmediate(resolve));
    const end = Math.min(count, start + SLICE_PAGES);
    for (let index = start; index < end; index += 1) visit(index);
  }
}
