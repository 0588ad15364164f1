import { fileURLToPath } from "node:url";
import yargs from "yargs";
import { type Part, PARTS } from "./plan.js";

/** Committed, and made with full runs: small guests and single runs do not go there unless somebody says so. */
const DOCS = fileURLToPath(new URL("../../../docs", import.meta.url));
const QUICK = fileURLToPath(new URL("../../../dist/quick-evaluation", import.meta.url));

export interface EvaluateOptions {
  readonly quick: boolean;
  /** Undefined is every part. */
  readonly only: Part | undefined;
  readonly runs: number;
  readonly json: boolean;
  readonly redraw: boolean;
  /** The folder to write to. */
  readonly out: string;
  /** As it would be typed again. */
  readonly command: string;
}

/** Ends the process with one sentence where `argv` makes no sense, unless `exit` is false: then it throws. */
export function readOptions(argv: readonly string[], { exit = true } = {}): EvaluateOptions {
  const { quick, only, runs, json, redraw, out } = yargs([...argv])
    .usage("npm run evaluate -- [--quick] [--only PART] [--runs N] [--json] [--redraw]")
    .option("quick", {
      type: "boolean",
      default: false,
      describe: "small guests, one run, minutes",
    })
    .option("only", { choices: PARTS, describe: "one part; the results of the others are kept" })
    .option("runs", {
      type: "number",
      requiresArg: true,
      describe: "runs of every point [5; 1 with --quick]",
    })
    .option("json", { type: "boolean", default: false, describe: "a line of JSON for each run" })
    .option("redraw", { type: "boolean", default: false, describe: "measure nothing" })
    .option("out", {
      type: "string",
      requiresArg: true,
      describe: "folder to write to [docs; dist/quick-evaluation with --quick]",
    })
    .check((options) => {
      const given: unknown = options.runs;
      if (given === undefined || (Number.isSafeInteger(given) && Number(given) > 0)) return true;
      throw new Error("--runs must be a whole number from 1 on, such as --runs 5");
    })
    .strict()
    .showHelpOnFail(false)
    .exitProcess(exit)
    .parseSync();
  const flags = [
    quick ? ["--quick"] : [],
    only === undefined ? [] : [`--only ${only}`],
    runs === undefined ? [] : [`--runs ${String(runs)}`],
  ].flat();
  return {
    quick,
    only,
    runs: runs ?? (quick ? 1 : 5),
    json,
    redraw,
    out: out ?? (quick ? QUICK : DOCS),
    command: ["npm run evaluate", ...(flags.length === 0 ? [] : ["--", ...flags])].join(" "),
  };
}
