import type { Options } from "yargs";
import type { Arguments } from "../arguments.js";
import type { ExitCode } from "../exit-codes.js";

/** One word after `tristage`. */
export interface Command {
  readonly options: Readonly<Record<string, Options>>;
  run(args: Arguments): Promise<ExitCode>;
}
