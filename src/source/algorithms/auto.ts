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

/** What another pass comes to, if the guest goes on as in the last. */
function outlook({ dirtyPages, durationMs, elapsedMs, bytesPerSecond }: PassFacts) {
  const nextMs = sendingMs(dirtyPages, bytesPerSecond, PAGE_BYTES);
  const dirtyThen = (dirtyPages / durationMs) * nextMs;
  const thenMs = sendingMs(dirtyThen, bytesPerSecond, PAGE_BYTES);
  return { nextMs, dirtyThen, endMs: elapsedMs + nextMs + thenMs };
}

function afterPass(facts: PassFacts, pagesMs: number, maxTotalMs = Infinity): Verdict {
  const stop = (reason: StopReason): Verdict => ({ then: "stop", reason });
  const { dirtyPages } = facts;
  const { nextMs, dirtyThen, endMs } = outlook(facts);
  if (nextMs <= pagesMs) return stop("downtime-limit");
  if (!(dirtyThen < dirtyPages * WORTHWHILE)) return stop("not-converging");
  // A guest that writes the same pages over and over leaves as many after a short pass as after a
  // long one.
  const isStuck = facts.pass > 1 && dirtyPages >= facts.dirtyPagesBefore * WORTHWHILE;
  if (isStuck) return stop("not-converging");
  if (endMs > maxTotalMs) return stop("max-total");
  if (facts.pass >= XEN.MAX_ROUNDS) return stop("max-rounds");
  return { then: "pass", throttlePercent: 0 };
}

function ending(
  facts: StopFacts,
  pagesMs: number,
  maxDowntimeMs: number,
  maxTotalMs = Infinity,
): Ending {
  const dirtyPages = facts.dirtyPages();
  const takesMs = sendingMs(dirtyPages, facts.bytesPerSecond, PAGE_BYTES);
  const limit = `of the ${formatMs(maxDowntimeMs)} of downtime allowed`;
  const rate = facts.bytesPerSecond === null ? "" : ` at ${formatRate(facts.bytesPerSecond)}`;
  const takes = Number.isFinite(takesMs) ? formatMs(takesMs) : "an unknown time";
  const pages = `the ${String(dirtyPages)} dirty pages take ${takes}${rate}`;
  const late = lateness(facts.elapsedMs, takesMs, maxTotalMs);
  const choose = (algorithm: Choice["algorithm"], why: string): Choice => ({ algorithm, why });
  if (takesMs <= pagesMs) {
    const why = `${pages}, within the ${formatMs(pagesMs)} for pages ${limit}${late}`;
    return { rest: "before", choice: choose("pre-copy", why) };
  }
  const reason = whyNotRounds(facts, maxTotalMs);
  const why = `${pages}, more than the ${formatMs(pagesMs)} for pages ${limit}, ${reason}${late}`;
  return { rest: "after", choice: choose("three-stage", why) };
}

/** That the whole takes longer than it should, if it does: neither method can help that any more. */
function lateness(elapsedMs: number, takesMs: number, maxTotalMs: number): string {
  const allowed = `more than the ${formatMs(maxTotalMs)} allowed in all`;
  if (elapsedMs > maxTotalMs) return `; ${formatMs(elapsedMs)} have passed already, ${allowed}`;
  const totalMs = elapsedMs + takesMs;
  if (totalMs <= maxTotalMs || !Number.isFinite(totalMs)) return "";
  return `; with them the migration takes about ${formatMs(totalMs)}, ${allowed}`;
}

function whyNotRounds({ reason, lastPass }: StopFacts, maxTotalMs: number): string {
  switch (reason) {
    case "max-total": {
      const end = lastPass === null ? "" : ` after ${formatMs(outlook(lastPass).endMs)},`;
      return `and one more round would end${end} beyond the ${formatMs(maxTotalMs)} allowed in all`;
    }
    case "max-rounds":
      return `after ${String(XEN.MAX_ROUNDS)} rounds`;
    case "downtime-limit":
      return "since the guest wrote more just before it stopped";
    default:
      return `and the guest writes too fast${dirtyRate(lastPass)} for more rounds to leave fewer`;
  }
}

/** What the last pass left, by the time that it took. */
function dirtyRate(lastPass: PassFacts | null): string {
  if (lastPass === null) return "";
  const pagesPerSecond = (lastPass.dirtyPages * 1000) / lastPass.durationMs;
  return `, ${String(Math.round(pagesPerSecond))} pages/s,`;
}
