import { PAGE_BYTES } from "../../memory/geometry.js";
import type { Algorithm } from "../../protocol/report.js";
import { LOOK_BACK } from "../epoch-history.js";
import type { WorkingSet } from "./working-set.js";

/** What a prediction is made from; see estimate.ts for how it is measured. */
export interface MigrationModel {
  /** Pages whose contents have to cross. */
  readonly contentPages: number;
  /** Bytes per second that page data gets. */
  readonly bytesPerSecond: number;
  readonly roundTripMs: number;
  readonly workingSet: WorkingSet;
}

export interface Prediction {
  readonly algorithm: Algorithm;
  readonly downtimeMs: number;
  readonly totalMs: number;
  /** Pages whose contents cross, repeats included. */
  readonly pages: number;
  /** Passes while the guest runs; the one that it stands still for is not counted. */
  readonly rounds: number;
}

/** A page on the wire: its bytes, its checksum, and its part of the frame's tables. */
const WIRE_BYTES = PAGE_BYTES + 12;
/** Stopping and starting vCPUs and collecting the bitmap, measured where two cores have all to do. */
const HANDOVER_MS = 6;
/** Connections and the destination's memory before the first page, measured there as well. */
const SETUP_MS = 100;

/** Xen's rules for the last round: tools/libxc, as of the release that the paper was built on. */
const MOST_ROUNDS = 29;
const FEW_PAGES = 50;
const MOST_MEMORY = 3;

/**
 * What each algorithm would do with a guest that goes on as it did. Pure: the same model gives the same
 * answer.
 */
export function predict(model: MigrationModel): readonly Prediction[] {
  return [stopAndCopy(model), preCopy(model), postCopy(model), threeStage(model)];
}

function msOf(pages: number, { bytesPerSecond }: MigrationModel): number {
  return (pages * WIRE_BYTES * 1000) / bytesPerSecond;
}

/** The pause that every algorithm has: half a round trip for the message, and both hosts' own work. */
function handOverMs({ roundTripMs }: MigrationModel): number {
  return roundTripMs / 2 + HANDOVER_MS;
}

/** Of the three exchanges before the first page and the one after the last. */
function setupMs({ roundTripMs }: MigrationModel): number {
  return SETUP_MS + 4 * roundTripMs;
}

function prediction(
  algorithm: Algorithm,
  model: MigrationModel,
  pages: { readonly before: number; readonly stopped: number; readonly after: number },
  rounds: number,
): Prediction {
  const all = pages.before + pages.stopped + pages.after;
  // The guest goes on where it wrote last, so its first operation there is likely to want a missing page.
  const faultMs = pages.after > 0 ? model.roundTripMs : 0;
  const downtimeMs = handOverMs(model) + msOf(pages.stopped, model) + faultMs;
  const runningMs = msOf(pages.before + pages.after, model);
  const totalMs = setupMs(model) + runningMs + downtimeMs;
  return { algorithm, downtimeMs, totalMs, pages: Math.round(all), rounds };
}

function stopAndCopy(model: MigrationModel): Prediction {
  const pages = { before: 0, stopped: model.contentPages, after: 0 };
  return prediction("stop-and-copy", model, pages, 0);
}

function postCopy(model: MigrationModel): Prediction {
  const pages = { before: 0, stopped: 0, after: model.contentPages };
  return prediction("post-copy", model, pages, 0);
}

/**
 * Round after round until one of Xen's rules holds. A page that is dirty again when its turn comes is
 * skipped in that round, so a round sends less than it was given.
 */
function preCopy(model: MigrationModel): Prediction {
  const { workingSet, contentPages } = model;
  let sent = contentPages;
  let previous = Number.POSITIVE_INFINITY;
  let before = 0;
  let dirty: number;
  let rounds = 0;
  for (;;) {
    rounds += 1;
    before += sent;
    const roundMs = msOf(sent, model);
    // The first round goes through pages in turn, each marked in its turn; later ones find what came since.
    dirty = rounds === 1 ? workingSet.meanWithin(roundMs) : workingSet.within(roundMs);
    const isLast =
      rounds >= MOST_ROUNDS ||
      sent < FEW_PAGES ||
      before > MOST_MEMORY * contentPages ||
      sent > previous;
    if (isLast) break;
    previous = sent;
    sent = withoutSkipped(dirty, model);
  }
  return prediction("pre-copy", model, { before, stopped: dirty, after: 0 }, rounds);
}

/** Of `dirty` pages, those that are not written again before their turn in the round comes. */
function withoutSkipped(dirty: number, model: MigrationModel): number {
  return settle(dirty, (sent) => dirty - model.workingSet.meanWithin(msOf(sent, model)));
}

/**
 * One pass, which leaves what is being rewritten for later; then what it left and what it missed. A page is deferred if it
 * was written within `LOOK_BACK` times as long before its turn as all pages behind it would take, and dirty if it is
 * written while those of them that are sent take theirs.
 */
function threeStage(model: MigrationModel): Prediction {
  const { workingSet, contentPages } = model;
  const lookBackMs = LOOK_BACK * msOf(contentPages, model);
  const before = Math.max(0, contentPages - workingSet.meanWithin(lookBackMs));
  const after = workingSet.meanWithin(lookBackMs + msOf(before, model));
  return prediction("three-stage", model, { before, stopped: 0, after }, 1);
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
