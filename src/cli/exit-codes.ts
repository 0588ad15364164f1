import type { Failure, FailureCode } from "../failure.js";
import type { Outcome } from "../protocol/report.js";

/** What the process says to the shell when it ends. */
export const EXIT = {
  DONE: 0,
  OTHER: 1,
  USAGE: 2,
  /** The migration failed or was cancelled; the guest still runs at the source. */
  FAILED: 3,
  /** Nobody here knows whether the guest is whole, or who owns it. */
  IN_DOUBT: 4,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** Shown by `tristage --help`. */
export const EXIT_CODES_HELP = `Exit codes:
  0  done
  1  something else went wrong, or the guest itself crashed
  2  bad usage
  3  the migration failed or was cancelled; the guest still runs where it was
  4  in doubt or stranded: read the report; nothing runs the guest twice`;

/** Of several migrations; what the codes mean rises with them. */
export function worstOf(one: ExitCode, other: ExitCode): ExitCode {
  return one > other ? one : other;
}

export function exitCodeOfOutcome(outcome: Outcome): ExitCode {
  switch (outcome) {
    case "completed":
      return EXIT.DONE;
    case "crashed":
      return EXIT.OTHER;
    case "failed":
    case "cancelled":
      return EXIT.FAILED;
    case "inDoubt":
    case "stranded":
      return EXIT.IN_DOUBT;
  }
}

/** Failures that another command line would not have. */
const USAGE_CODES: ReadonlySet<string> = new Set<FailureCode>([
  "USAGE",
  "LISTENS_OPENLY",
  "GEOMETRY_REFUSED",
  "GUEST_UNKNOWN",
  "GUEST_SETTING",
  "GUEST_MODULE_MISSING",
]);

/** What a host answers when no guest of its own was about to migrate. */
const NO_MIGRATION_CODES: ReadonlySet<string> = new Set([
  ...(["GUEST_NOT_HERE", "GUEST_BUSY", "TOKEN_WRONG"] satisfies FailureCode[]),
  ...["BROWSER_REFUSED", "NOT_TRISTAGE", "INTERNAL"],
]);

/**
 * For a failure that kept the command from doing its work. `PEER_FAILED` is what a host answered. If it was
 * asked to migrate a guest, that guest goes on running there, unless the request itself was at fault.
 */
export function exitCodeOfFailure(failure: Failure, wasToMigrate: boolean): ExitCode {
  const code = failure.code === "PEER_FAILED" ? failure.peerCode : failure.code;
  if (USAGE_CODES.has(code)) return EXIT.USAGE;
  const didNotMigrate =
    wasToMigrate && failure.code === "PEER_FAILED" && !NO_MIGRATION_CODES.has(code);
  return didNotMigrate ? EXIT.FAILED : EXIT.OTHER;
}
