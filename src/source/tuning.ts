import { MAX_DATA_PAGES } from "../protocol/limits.js";

/**
 * How stage one and stage three go about their work. Every part can be switched off, so that what it
 * brings can be measured.
 */
export interface Tuning {
  /** Stage one: leave pages that are being rewritten to stage three. */
  readonly defer: boolean;
  /** Stage three: do not send a page again whose contents are what was sent. Found by its checksum. */
  readonly unchanged: boolean;
  /** Stage three: of a page that was sent before, send only the blocks that have changed. Found by sums that go with its checksum. */
  readonly delta: boolean;
  /** Stage three: send the neighbours of a fault along. */
  readonly prepull: boolean;
  /** Send each page with a checksum, which the destination compares. Without, TCP's own is all there is. */
  readonly checksums: boolean;
  /** Stage one: pages that are marked and read together. */
  readonly chunkPages: number;
}

/** What a user chose of it. */
export type TuningChoice = { readonly [Knob in keyof Tuning]?: Tuning[Knob] | undefined };

/** The choice, and what has proved best for the rest. */
export function completeTuning(choice: TuningChoice = {}): Tuning {
  const checksums = choice.checksums ?? true;
  return {
    defer: choice.defer ?? true,
    unchanged: choice.unchanged ?? checksums,
    delta: choice.delta ?? checksums,
    prepull: choice.prepull ?? true,
    checksums,
    chunkPages: choice.chunkPages ?? MAX_DATA_PAGES,
  };
}

/** What is wrong with a choice, if anything is. */
export function tuningProblem(choice: TuningChoice = {}): string | undefined {
  if (choice.checksums !== false) return undefined;
  if (choice.unchanged === true) {
    return "unchanged pages are found by their checksums, which are off";
  }
  if (choice.delta === true) return "deltas are put together by checksums, which are off";
  return undefined;
}
