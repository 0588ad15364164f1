import { PAGE_BYTES } from "../../memory/geometry.js";
import type { StopReason } from "../../protocol/report.js";
import { type PassFacts, type Policy, sendingMs, type Verdict } from "./algorithm.js";

/** Xen's rules, as `xc_domain_save` of Xen 4.1 has them. */
export const XEN = {
  MAX_ROUNDS: 29,
  /** A round with fewer pages, sent and skipped, has converged. */
  FEW_PAGES: 50,
  /** As many times the guest's memory may be sent. */
  MAX_FACTOR: 3,
} as const;

/**
 * How a guest is slowed down that writes faster than its pages can be sent (QEMU's auto-converge).
 */
export interface ThrottlePlan {
  readonly startPercent: number;
  readonly stepPercent: number;
  readonly maxPercent: number;
}

export interface PreCopyOptions {
  /** Xen's rules alone where it is undefined. */
  readonly downtimeLimitMs?: number | undefined;
  readonly maxRounds?: number | undefined;
  /** Undefined never slows the guest. */
  readonly throttle?: ThrottlePlan | undefined;
}

/** Rounds over the pages that were written meanwhile, and the rest while the guest stands still. */
export function preCopy(options: PreCopyOptions): Policy {
  return {
    algorithm: "pre-copy",
    opening: "all",
    mayLeavePages: false,
    afterPass: (facts) => afterRound(options, facts),
    ending: () => ({ rest: "before", choice: null }),
  };
}

function afterRound(options: PreCopyOptions, facts: PassFacts): Verdict {
  const reason = stopReason(options, facts);
  if (reason !== null) return { then: "stop", reason };
  return { then: "pass", throttlePercent: nextThrottle(options.throttle, facts) };
}

/**
 * Xen stops on any of its four rules, so their order only says which is named when several hold.
 * Where the guest may be slowed down, a round that sends more is no bad sign, since fewer pages had
 * to be skipped; and what was sent in all counts only when it can be slowed no further.
 */
function stopReason(options: PreCopyOptions, facts: PassFacts): StopReason | null {
  const { downtimeLimitMs, maxRounds = XEN.MAX_ROUNDS, throttle } = options;
  const leftMs = sendingMs(facts.dirtyPages, facts.bytesPerSecond, PAGE_BYTES);
  if (facts.pagesSent + facts.pagesSkipped < XEN.FEW_PAGES) return "few-pages";
  if (downtimeLimitMs !== undefined && leftMs <= downtimeLimitMs) return "downtime-limit";
  if (facts.pass >= maxRounds) return "max-rounds";
  if (throttle === undefined && facts.pagesSent > facts.pagesSentBefore) return "grew";
  if (throttle !== undefined && facts.throttlePercent < throttle.maxPercent) return null;
  if (facts.pagesSentInAll > XEN.MAX_FACTOR * facts.totalPages) return "sent-3x";
  return null;
}

/**
 * One step up after each round in which the guest wrote more than half of what was sent, as in
 * QEMU.
 */
function nextThrottle(plan: ThrottlePlan | undefined, facts: PassFacts): number {
  const { throttlePercent, dirtyPages, pagesSent } = facts;
  if (plan === undefined || dirtyPages * 2 <= pagesSent) return throttlePercent;
  if (throttlePercent === 0) return plan.startPercent;
  return Math.min(throttlePercent + plan.stepPercent, plan.maxPercent);
}
