import { PAGE_BYTES } from "../memory/geometry.js";
import type { MigrateRequest } from "../host/service.js";
import { MAX_DATA_PAGES } from "../protocol/limits.js";
import { type Tuning, tuningProblem } from "../source/tuning.js";
import { describeMisfit, findMisfit, type Misfit } from "../source/algorithms/choice.js";
import { parseSize } from "../units.js";
import { ALGORITHM_OPTIONS, readAlgorithm } from "./algorithm-options.js";
import { type Arguments, usage } from "./arguments.js";
import { valued } from "./options.js";

/** How a migration moves its pages: what `source` and `migrate` take alike. */
export const TRANSFER_OPTIONS = {
  ...ALGORITHM_OPTIONS,
  "max-bandwidth": valued("Limit for page data, as 1Gbit or 50MB/s"),
  "max-postcopy-bandwidth": valued("The same for what is pushed in stage three"),
  channels: valued("Connections that carry page data"),
  tune: valued("defer|unchanged|delta|prepull|checksums=on|off, chunk=SIZE; repeatable"),
};

/** For `Arguments.onlyWith`. */
export const TRANSFER_OPTION_NAMES = Object.keys(TRANSFER_OPTIONS);

type Transfer = Omit<MigrateRequest, "to" | "guestId">;

/** Throws USAGE, also for an option that the algorithm would ignore. */
export function readTransfer(args: Arguments): Transfer {
  const transfer = {
    ...readAlgorithm(args),
    maxBandwidth: args.rate("max-bandwidth"),
    maxPostcopyBandwidth: args.rate("max-postcopy-bandwidth"),
    channels: args.channels("channels"),
    tuning: readTuning(args.settings("tune")),
  };
  const misfit = findMisfit(transfer);
  if (misfit !== undefined) throw usage(describeMisfit(misfit, nameOf(misfit)));
  const problem = tuningProblem(transfer.tuning);
  if (problem !== undefined) throw usage(problem);
  return transfer;
}

/** A request's option as it is written on the command line. */
function nameOf({ option, isKnob }: Misfit): string {
  if (isKnob) return `--tune ${option === "chunkPages" ? "chunk" : option}=…`;
  const words = option.replace(/Ms$/, "").replaceAll(/[A-Z]/g, (it) => `-${it.toLowerCase()}`);
  return `--${words}`;
}

function readTuning(settings: Readonly<Record<string, string>>): Partial<Tuning> {
  return Object.assign({}, ...Object.entries(settings).map(readKnob)) as Partial<Tuning>;
}

function readKnob([key, value]: [string, string]): Partial<Tuning> {
  switch (key) {
    case "defer":
    case "unchanged":
    case "delta":
    case "prepull":
    case "checksums":
      return { [key]: choose(key, value, ["on", "off"]) === "on" };
    case "chunk":
      return { chunkPages: readChunk(value) };
    default:
      throw usage(
        `--tune knows no "${key}"; it has defer, unchanged, delta, prepull, checksums and chunk`,
      );
  }
}

function choose<Choice extends string>(
  key: string,
  value: string,
  choices: readonly Choice[],
): Choice {
  const found = choices.find((choice) => choice === value);
  if (found !== undefined) return found;
  throw usage(`--tune ${key}=${value}: must be ${choices.join(" or ")}`);
}

function readChunk(value: string): number {
  const pages = (parseSize(value) ?? 0) / PAGE_BYTES;
  if (Number.isInteger(pages) && pages >= 1 && pages <= MAX_DATA_PAGES) return pages;
  throw usage(`--tune chunk=${value}: must be whole pages of 4KiB, at most 1MiB`);
}
