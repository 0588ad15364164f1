import type { Clock } from "../../clock.js";
import { PAGE_BYTES } from "../../memory/geometry.js";
import type { GuestRam } from "../../memory/ram.js";
import type { HeatClock } from "../heat-clock.js";
import { rewrittenShare } from "../rewrite-watch.js";
import { sampleGuest } from "./guest-sample.js";
import { type LinkProbe, probeLink } from "./link-probe.js";
import { predict, type Prediction } from "./prediction.js";
import { type WindowCount, WorkingSet } from "./working-set.js";

/** Pages per second of a guest are told by how many it wrote within this time. */
const RATE_WINDOW_MS = 640;

/** What was measured of a live guest and of the link to a destination, and what follows from it. */
export interface Estimate {
  readonly memoryBytes: number;
  readonly pageBytes: number;
  readonly roundTripMs: number;
  /** Of the link, or the limit where that is lower. */
  readonly bytesPerSecond: number;
  /** Pages whose contents would have to cross. */
  readonly contentPages: number;
  /** Different pages written per second. */
  readonly dirtyPagesPerSecond: number;
  /** Different pages written within a time, for several times. */
  readonly written: readonly WindowCount[];
  readonly predictions: readonly Prediction[];
}

/** Rejects as `probeLink` does. The guest is not disturbed, nor what moves it if `link` makes way for that. */
export async function estimate(
  ram: GuestRam,
  heat: Pick<HeatClock, "entries">,
  link: LinkProbe,
  durationMs: number,
  clock: Clock,
): Promise<Estimate> {
  const { roundTripMs, bytesPerSecond: carried } = await probeLink(link, clock);
  const { windows, contentPages } = await sampleGuest(ram, heat, durationMs, clock);
  const bytesPerSecond = Math.min(carried, link.maxBandwidth ?? carried);
  const { pageCount } = ram;
  const workingSet = new WorkingSet(windows, pageCount);
  const model = {
    pageCount,
    contentPages,
    bytesPerSecond,
    roundTripMs,
    workingSet,
    rewrittenShare: rewrittenShare(ram),
  };
  return {
    memoryBytes: ram.byteLength,
    pageBytes: PAGE_BYTES,
    roundTripMs,
    bytesPerSecond,
    contentPages,
    dirtyPagesPerSecond: (workingSet.within(RATE_WINDOW_MS) * 1000) / RATE_WINDOW_MS,
    written: windows,
    predictions: predict(model),
  };
}
