import { PAGE_BYTES } from "../../memory/geometry.js";
import type { Algorithm } from "../../protocol/report.js";
import { LOOK_BACK } from "../epoch-history.js";
import { paysToDefer } from "../rewrite-watch.js";
import type { MigrationModel } from "./migration-model.js";
import { preCopyRounds } from "./pre-copy-rounds.js";

export interface Prediction {
  readonly algorithm: Algorithm;
  readonly downtimeMs: number;
  readonly totalMs: number;
  /** Pages whose contents cross, repeats included; of a page that goes as a delta, the share that does. */
  readonly pages: number;
  /** Passes while the guest runs; the one that it stands still for does not count. */
  readonly rounds: number;
}

/** A page that is sent as a delta: its part of the frame's table, as a share of a page on the wire. */
const DELTA_SHARE = 16 / PAGE_BYTES;
/** A page on the wire: its bytes, its checksum, and its part of the frame's tables. */
const WIRE_BYTES = PAGE_BYTES + 12;
/** Stopping and starting vCPUs, measured where two cores have all to do: docs/PERFORMANCE.md. */
const HANDOVER_MS = 1.4;
/** Finding out what is dirty, and telling it. */
const HANDOVER_MS_PER_PAGE = 5e-6;
/** Connections and the destination's memory before the first page, measured there as well. */
const SETUP_MS = 30;

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
function handOverMs({ roundTripMs, pageCount }: MigrationModel): number {
  return roundTripMs / 2 + HANDOVER_MS + pageCount * HANDOVER_MS_PER_PAGE;
}

/** Of the three exchanges before the first page and the one after the last; and every pass has a barrier. */
function waitingMs({ roundTripMs }: MigrationModel, rounds: number): number {
  return SETUP_MS + (4 + Math.max(0, rounds - 1)) * roundTripMs;
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
  const totalMs = waitingMs(model, rounds) + runningMs + downtimeMs;
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

function preCopy(model: MigrationModel): Prediction {
  const { pagesSent, pagesLeft, rounds } = preCopyRounds(model, (pages) => msOf(pages, model));
  const pages = { before: pagesSent, stopped: pagesLeft, after: 0 };
  return prediction("pre-copy", model, pages, rounds);
}

/**
 * One pass, which leaves what is being rewritten for later; then what it left and what it missed. A page is deferred if it
 * was written within `LOOK_BACK` times as long before its turn as all pages behind it would take, and dirty if it is
 * written while those of them that are sent take theirs.
 */
function threeStage(model: MigrationModel): Prediction {
  const { workingSet, contentPages, rewrittenShare } = model;
  if (!paysToDefer(rewrittenShare)) {
    // Nothing is deferred, and what is dirty goes as deltas.
    const dirty = workingSet.meanWithin(msOf(contentPages, model));
    const after = dirty * (rewrittenShare + DELTA_SHARE);
    return prediction("three-stage", model, { before: contentPages, stopped: 0, after }, 1);
  }
  const lookBackMs = LOOK_BACK * msOf(contentPages, model);
  const before = Math.max(0, contentPages - workingSet.meanWithin(lookBackMs));
  const after = workingSet.meanWithin(lookBackMs + msOf(before, model));
  return prediction("three-stage", model, { before, stopped: 0, after }, 1);
}
