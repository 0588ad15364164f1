import { ALGORITHM_NAMES, type Algorithm, type AlgorithmName } from "../../protocol/report.js";
import { completeTuning, type Tuning, type TuningChoice } from "../tuning.js";
import type { Policy } from "./algorithm.js";
import { auto, type Intent } from "./auto.js";
import { postCopy } from "./post-copy.js";
import { preCopy, type PreCopyOptions } from "./pre-copy.js";
import { stopAndCopy } from "./stop-and-copy.js";
import { threeStage } from "./three-stage.js";

export const DEFAULT_ALGORITHM = "three-stage" satisfies Algorithm;

/** What a user chose of the algorithm; `undefined` is as if it did not stand there. */
export interface AlgorithmChoice extends PreCopyOptions, Intent {
  readonly algorithm?: AlgorithmName | undefined;
}

export function policyOf(choice: AlgorithmChoice): Policy {
  switch (choice.algorithm ?? DEFAULT_ALGORITHM) {
    case "stop-and-copy":
      return stopAndCopy;
    case "pre-copy":
      return preCopy(choice);
    case "post-copy":
      return postCopy;
    case "three-stage":
      return threeStage;
    case "auto":
      return auto(choice);
  }
}

/**
 * Which algorithms an option means anything to; what stands in neither table means something to
 * all.
 */
const MEANT_FOR: Readonly<Record<string, readonly AlgorithmName[]>> = {
  downtimeLimitMs: ["pre-copy"],
  maxRounds: ["pre-copy"],
  throttle: ["pre-copy"],
  maxDowntimeMs: ["auto"],
  maxTotalMs: ["auto"],
  maxPostcopyBandwidth: ["post-copy", "three-stage", "auto"],
};

const KNOB_MEANT_FOR: Readonly<Record<keyof TuningChoice, readonly AlgorithmName[]>> = {
  defer: ["three-stage", "auto"],
  chunkPages: ["three-stage", "auto"],
  unchanged: ["three-stage", "auto"],
  delta: ["three-stage", "auto"],
  prepull: ["post-copy", "three-stage", "auto"],
  checksums: ALGORITHM_NAMES,
};

/** What a request chose, what has proved best for the rest, and off what its algorithm has no use for. */
export function tuningFor(algorithm: AlgorithmName, choice?: TuningChoice): Tuning {
  const tuning = completeTuning(choice);
  const isOn = (knob: "defer" | "unchanged" | "delta" | "prepull") =>
    tuning[knob] && KNOB_MEANT_FOR[knob].includes(algorithm);
  return {
    ...tuning,
    defer: isOn("defer"),
    unchanged: isOn("unchanged"),
    delta: isOn("delta"),
    prepull: isOn("prepull"),
  };
}

/** An option that the algorithm would ignore, and those that would not. */
export interface Misfit {
  readonly option: string;
  readonly isKnob: boolean;
  readonly algorithm: AlgorithmName;
  readonly meantFor: readonly AlgorithmName[];
}

/** The first option that would be accepted and ignored, if any. */
export function findMisfit(
  request: AlgorithmChoice & {
    readonly maxPostcopyBandwidth?: number | undefined;
    readonly tuning?: TuningChoice | undefined;
  },
): Misfit | undefined {
  const algorithm = request.algorithm ?? DEFAULT_ALGORITHM;
  for (const [values, table, isKnob] of [
    [request, MEANT_FOR, false],
    [request.tuning ?? {}, KNOB_MEANT_FOR, true],
  ] as const) {
    for (const [option, meantFor] of Object.entries(table)) {
      const isGiven = (values as Readonly<Record<string, unknown>>)[option] !== undefined;
      if (!isGiven || meantFor.includes(algorithm)) continue;
      return { option, isKnob, algorithm, meantFor };
    }
  }
  return undefined;
}

/** What a user is told of it; `name` is the option as the user wrote it. */
export function describeMisfit({ algorithm, meantFor }: Misfit, name: string): string {
  return `${name} means nothing to ${algorithm}; it is for ${meantFor.join(", ")}`;
}

/** What is wrong with a way of slowing a guest down, if anything is. */
export function throttleProblem(throttle: PreCopyOptions["throttle"]): string | undefined {
  if (throttle === undefined || throttle.startPercent <= throttle.maxPercent) return undefined;
  const { startPercent, maxPercent } = throttle;
  return `a throttle cannot start at ${String(startPercent)} % and end at ${String(maxPercent)} %`;
}
