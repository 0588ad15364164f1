import { MAX_DATA_PAGES } from "../protocol/limits.js";

/**
 * How stage one and stage three go about their work. Every part can be switched off, so that what it
 * brings can be measured.
 */
export interface Tuning {
  /** Stage one: leave pages that are being rewritten to stage three. */
  readonly defer: boolean;
  /** Stage three: do not send a page again whose contents are what was sent. */
  readonly unchanged: boolean;
  /** Stage three: send the neighbours of a fault along. */
  readonly prepull: boolean;
  /** Stage one: pages that are marked and read together. */
  readonly chunkPages: number;
}

/** What a user chose of it. */
export type TuningChoice = { readonly [Knob in keyof Tuning]?: Tuning[Knob] | undefined };

/** The choice, and what has proved best for the rest. */
export function completeTuning(choice: TuningChoice = {}): Tuning {
  return {
    defer: choice.defer ?? true,
    unchanged: choice.unchanged ?? true,
    prepull: choice.prepull ?? true,
    chunkPages: choice.chunkPages ?? MAX_DATA_PAGES,
  };
}
