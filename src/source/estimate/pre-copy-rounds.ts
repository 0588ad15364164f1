import type { PassFacts } from "../algorithms/algorithm.js";
import { preCopy } from "../algorithms/pre-copy.js";
import type { MigrationModel } from "./migration-model.js";
import type { WorkingSet } from "./working-set.js";

/** What rounds of pre-copy come to, before the guest stops. */
interface Rounds {
  /** With contents, repeats included. */
  readonly pagesSent: number;
  /** Dirty after the last round. */
  readonly pagesLeft: number;
  readonly rounds: number;
}

/**
 * Goes through the rounds as the engine makes them, and asks the policy itself when they end. A page that is dirty again when
 * its turn comes is skipped in that round, so a round sends less than it was given.
 */
export function preCopyRounds(model: MigrationModel, msOf: (pages: number) => number): Rounds {
  const { pageCount, contentPages, workingSet, bytesPerSecond, roundTripMs } = model;
  const policy = preCopy({});
  const emptyPages = pageCount - contentPages;
  let dirtyPages = contentPages;
  let dirtyMs: number | null = null;
  let elapsedMs = 0;
  let pagesSent = 0;
  let before: Pick<PassFacts, "pagesSentBefore" | "dirtyPagesBefore"> = {
    pagesSentBefore: pageCount,
    dirtyPagesBefore: pageCount,
  };
  for (let pass = 1; ; pass += 1) {
    const given: number = dirtyPages;
    const givenMs: number | null = dirtyMs;
    const sent = settle(given, (pages) => given - writtenAgain(workingSet, givenMs, msOf(pages)));
    const durationMs = msOf(sent);
    pagesSent += sent;
    elapsedMs += durationMs;
    dirtyPages = workingSet.within(durationMs);
    dirtyMs = durationMs;
    // Pages without contents count as sent, and go in the first round.
    const counted = pass === 1 ? sent + emptyPages : sent;
    const verdict = policy.afterPass({
      pass,
      pagesSent: counted,
      pagesSkipped: given - sent,
      pagesSentInAll: pagesSent + emptyPages,
      dirtyPages,
      totalPages: pageCount,
      durationMs,
      elapsedMs,
      bytesPerSecond,
      roundTripMs,
      throttlePercent: 0,
      ...before,
    });
    if (verdict.then === "stop") return { pagesSent, pagesLeft: dirtyPages, rounds: pass };
    before = { pagesSentBefore: counted, dirtyPagesBefore: dirtyPages };
  }
}

/**
 * Of the pages that were written in the `dirtyMs` before a round (null: of all), those that are written again before
 * their turn in it, when the turns take `roundMs` together. Who was written before and is written after is in both windows,
 * and in what the two are as one window it counts once; so much holds for every guest that goes on as it did.
 */
function writtenAgain(writes: WorkingSet, dirtyMs: number | null, roundMs: number): number {
  const after = writes.meanWithin(roundMs);
  if (dirtyMs === null) return after;
  return writes.within(dirtyMs) + after - writes.meanBetween(dirtyMs, dirtyMs + roundMs);
}

/** The number from 0 to `most` that `step` leaves as it is; `step` falls as its argument rises. */
function settle(most: number, step: (value: number) => number): number {
  let [low, high] = [0, most];
  for (let halving = 0; halving < 40; halving += 1) {
    const middle = (low + high) / 2;
    if (step(middle) > middle) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}
