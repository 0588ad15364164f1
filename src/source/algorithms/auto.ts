import { PAGE_BYTES } from "../../memory/geometry.js";
import type { Choice, StopReason } from "../../protocol/report.js";
import { formatMs, formatRate } from "../../units.js";
import {
  type Ending,
  type PassFacts,
  type Policy,
  sendingMs,
  type StopFacts,
  type Verdict,
} from "./algorithm.js";
import { XEN } from "./pre-copy.js";

/** What QEMU allows when nobody says otherwise. */
export const DEFAULT_MAX_DOWNTIME_MS = 300;
/** Of the downtime that is allowed, what pages may take: the bandwidth of a short burst varies. */
const PAGES_SHARE = 0.7;
/** At least this much is left for stopping, the barrier and the handover, whatever the link. */
const HANDOVER_MS = 10;
/** Round trips of a handover with a pass before it: the barrier's, the switchover's. */
const ROUND_TRIPS = 2;
/**
 * Another round has to leave less than this much of what is dirty now, or it is not worth its
 * pages.
 */
const WORTHWHILE = 0.8;

export interface Intent {
  readonly maxDowntimeMs?: number | undefined;
  /** Undefined is as long as it takes. */
  readonly maxTotalMs?: number | undefined;
}

/**
 * Chooses between pre-copy and three-stage, by what the passes measure. It begins as three-stage
 * does. Then, as long as rounds bring the dirty pages down, it goes on until they can be sent
 * within the downtime that is allowed: so ends pre-copy, without a fault. Where rounds would not
 * get there, or not in time, the guest is handed over with its dirty pages missing. The last word
 * is said when it stands still and they are counted.
 */
export function auto({ maxDowntimeMs = DEFAULT_MAX_DOWNTIME_MS, maxTotalMs }: Intent): Policy {
  const pagesMs = ({ roundTripMs }: { readonly roundTripMs: number }) =>
    pagesMsOf(maxDowntimeMs, roundTripMs);
  return {
    algorithm: "three-stage",
    opening: "all-but-hot",
    mayLeavePages: true,
    afterPass: (facts) => afterPass(facts, pagesMs(facts), maxTotalMs),
    ending: (facts) => ending(facts, pagesMs(facts), maxDowntimeMs, maxTotalMs),
  };
}

/** What of that downtime pages may take; 0 where the handover alone needs it all. */
function pagesMsOf(maxDowntimeMs: number, roundTripMs: number): number {
  const leftMs = maxDowntimeMs - HANDOVER_MS - ROUND_TRIPS * roundTripMs;
  return Math.max(0, Math.min(leftMs, maxDowntimeMs * PAGES_SHARE));
}

function afterPass(facts: PassFacts, pagesMs: number, maxTotalMs = Infinity): Verdict {
  const stop = (reason: StopReason): Verdict => ({ then: "stop", reason });
  const { dirtyPages, durationMs, bytesPerSecond } = facts;
  const nextMs = sendingMs(dirtyPages, bytesPerSecond, PAGE_BYTES);
  if (nextMs <= pagesMs) return stop("downtime-limit");
  // What the guest would write meanwhile, if it goes on as in this pass.
  const dirtyThen = (dirtyPages / durationMs) * nextMs;
  if (!(dirtyThen < dirtyPages * WORTHWHILE)) return stop("not-converging");
  // A guest that writes the same pages over and over leaves as many after a short pass as after a
  // long one.
  const isStuck = facts.pass > 1 && dirtyPages >= facts.dirtyPagesBefore * WORTHWHILE;
  if (isStuck) return stop("not-converging");
  const thenMs = sendingMs(dirtyThen, bytesPerSecond, PAGE_BYTES);
  if (facts.elapsedMs + nextMs + thenMs > maxTotalMs) return stop("max-total");
  if (facts.pass >= XEN.MAX_ROUNDS) return stop("max-rounds");
  return { then: "pass", throttlePercent: 0 };
}

function ending(
  facts: StopFacts,
  pagesMs: number,
  maxDowntimeMs: number,
  maxTotalMs: number | undefined,
): Ending {
  const dirtyPages = facts.dirtyPages();
  const takesMs = sendingMs(dirtyPages, facts.bytesPerSecond, PAGE_BYTES);
  const limit = `of the ${formatMs(maxDowntimeMs)} of downtime allowed`;
  const rate = facts.bytesPerSecond === null ? "" : ` at ${formatRate(facts.bytesPerSecond)}`;
  const takes = Number.isFinite(takesMs) ? formatMs(takesMs) : "an unknown time";
  const pages = `the ${String(dirtyPages)} dirty pages take ${takes}${rate}`;
  const choose = (algorithm: Choice["algorithm"], why: string): Choice => ({ algorithm, why });
  if (takesMs <= pagesMs) {
    const why = `${pages}, within the ${formatMs(pagesMs)} for pages ${limit}`;
    return { rest: "before", choice: choose("pre-copy", why) };
  }
  const reason = whyNotRounds(facts.reason, maxTotalMs);
  const why = `${pages}, more than the ${formatMs(pagesMs)} for pages ${limit}, ${reason}`;
  return { rest: "after", choice: choose("three-stage", why) };
}

function whyNotRounds(reason: StopReason | null, maxTotalMs: number | undefined): string {
  switch (reason) {
    case "max-total":
      return `and more rounds would not end within ${formatMs(maxTotalMs ?? 0)} in all`;
    case "max-rounds":
      return `after ${String(XEN.MAX_ROUNDS)} rounds`;
    case "downtime-limit":
      return "since the guest wrote more just before it stopped";
    default:
      return "and the guest writes too fast for more rounds to leave fewer";
  }
}
