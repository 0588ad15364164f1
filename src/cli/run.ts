import yargs, { type Argv } from "yargs";
import { MigrationError } from "../failure.js";
import { RELEASE } from "../host/release.js";
import { Arguments, usage } from "./arguments.js";
import { cancel } from "./commands/cancel.js";
import type { Command } from "./commands/command.js";
import { dest } from "./commands/dest.js";
import { discard } from "./commands/discard.js";
import { estimate } from "./commands/estimate.js";
import { guests } from "./commands/guests.js";
import { migrate } from "./commands/migrate.js";
import { pause } from "./commands/pause.js";
import { resume } from "./commands/resume.js";
import { source } from "./commands/source.js";
import { status } from "./commands/status.js";
import { errorEvent } from "./error-event.js";
import { EXIT, EXIT_CODES_HELP, exitCodeOfFailure, type ExitCode } from "./exit-codes.js";
import type { Sink } from "./show/presenter.js";
import { printable } from "./show/sentences.js";

const COMMANDS: Readonly<Record<string, Command>> = {
  dest,
  source,
  migrate,
  cancel,
  estimate,
  status,
  pause,
  resume,
  discard,
  guests,
};

/**
 * Carries out one command line (without node and script) and says how the process shall end. Failures are
 * printed to `screen`.
 */
export async function run(
  words: readonly string[],
  screen: { readonly stdout: Sink; readonly stderr: Sink } = process,
): Promise<ExitCode> {
  let command: Command | undefined;
  try {
    const values = await parse(words);
    command = COMMANDS[String(values["_"][0])];
    // Help and version were printed by the parser.
    if (values["help"] === true || values["version"] === true || command === undefined) {
      return EXIT.DONE;
    }
    return await command.run(new Arguments(values));
  } catch (error) {
    if (!(error instanceof MigrationError)) throw error;
    const problem = errorEvent(error.failure);
    screen.stderr.write(`tristage: ${printable(problem.text)}\n`);
    if (words.includes("--json")) screen.stdout.write(`${JSON.stringify(problem)}\n`);
    return exitCodeOfFailure(error.failure, command === migrate);
  }
}

async function parse(words: readonly string[]) {
  let parser: Argv = yargs([...words])
    .scriptName("tristage")
    .usage("$0 COMMAND: moves a running guest from one process to another")
    .version(RELEASE)
    .help()
    .alias("help", "h")
    .detectLocale(false)
    .parserConfiguration({ "camel-case-expansion": false, "dot-notation": false })
    .strict()
    .demandCommand(1, 1, "name a command", "one command at a time")
    .recommendCommands()
    .epilogue(EXIT_CODES_HELP)
    .exitProcess(false)
    .fail((message: string | null) => {
      throw usage(`${message ?? "bad usage"}; see ${helpFor(words)}`);
    });
  for (const [name, { summary, options }] of Object.entries(COMMANDS)) {
    parser = parser.command(name, summary, (its) => its.options(options));
  }
  return parser.parseAsync();
}

function helpFor([word = ""]: readonly string[]): string {
  return Object.hasOwn(COMMANDS, word) ? `tristage ${word} --help` : "tristage --help";
}
