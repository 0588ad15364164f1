import { ALGORITHM_NAMES } from "../protocol/report.js";
import {
  type AlgorithmChoice,
  DEFAULT_ALGORITHM,
  throttleProblem,
} from "../source/algorithms/choice.js";
import { DEFAULT_MAX_DOWNTIME_MS } from "../source/algorithms/auto.js";
import { XEN } from "../source/algorithms/pre-copy.js";
import { type Arguments, usage } from "./arguments.js";
import { flag, valued } from "./options.js";

/** What is taken when only `--throttle` is given: QEMU's figures for auto-converge. */
const THROTTLE = { startPercent: 20, stepPercent: 10, maxPercent: 99 } as const;
const THROTTLE_PARTS = ["throttle-start", "throttle-step", "throttle-max"];

const percent = (what: string, usual: number) =>
  valued(`Percent of the guest's time: ${what} [${String(usual)}]`);

/** Which algorithm moves the guest, and what each may be told. */
export const ALGORITHM_OPTIONS = {
  algorithm: valued(`${ALGORITHM_NAMES.join(", ")} [${DEFAULT_ALGORITHM}]`),
  "downtime-limit": valued("pre-copy: stop the rounds when the rest takes no longer, as 300ms"),
  "max-rounds": valued(`pre-copy: most rounds while the guest runs [${String(XEN.MAX_ROUNDS)}]`),
  throttle: flag("pre-copy: slow down a guest that writes faster than its pages can be sent"),
  "throttle-start": percent("the first step", THROTTLE.startPercent),
  "throttle-step": percent("each further step", THROTTLE.stepPercent),
  "throttle-max": percent("the last step", THROTTLE.maxPercent),
  "max-downtime": valued(
    `auto: how long the guest may stand still [${String(DEFAULT_MAX_DOWNTIME_MS)}ms]`,
  ),
  "max-total": valued(
    "auto: make no round that would end later, as 30s; the report says if it takes longer",
  ),
};

export function readAlgorithm(args: Arguments): AlgorithmChoice {
  return {
    algorithm: args.oneOf("algorithm", ALGORITHM_NAMES),
    downtimeLimitMs: args.limit("downtime-limit"),
    maxRounds: args.rounds("max-rounds"),
    throttle: readThrottle(args),
    maxDowntimeMs: args.limit("max-downtime"),
    maxTotalMs: args.limit("max-total"),
  };
}

function readThrottle(args: Arguments): AlgorithmChoice["throttle"] {
  if (!args.flag("throttle")) {
    const stray = THROTTLE_PARTS.find((name) => args.has(name));
    if (stray !== undefined) throw usage(`--${stray} means nothing without --throttle`);
    return undefined;
  }
  const throttle = {
    startPercent: args.percent("throttle-start") ?? THROTTLE.startPercent,
    stepPercent: args.percent("throttle-step") ?? THROTTLE.stepPercent,
    maxPercent: args.percent("throttle-max") ?? THROTTLE.maxPercent,
  };
  const problem = throttleProblem(throttle);
  if (problem !== undefined) throw usage(problem);
  return throttle;
}
