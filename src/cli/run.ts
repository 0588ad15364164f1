import yargs, { type Argv } from "yargs";
import { MigrationError } from "../failure.js";
import { RELEASE } from "../host/release.js";
import { Arguments, usage } from "./arguments.js";
import { COMMANDS } from "./commands.js";
import type { Command } from "./commands/command.js";
import { errorEvent } from "./error-event.js";
import { EXIT, EXIT_CODES_HELP, exitCodeOfFailure, type ExitCode } from "./exit-codes.js";
import type { Sink } from "./show/presenter.js";
import { printable } from "./show/sentences.js";

/**
 * Carries out one command line (without node and script) and says how the process shall end. Failures are
 * printed to `screen`.
 */
export async function run(
  words: readonly string[],
  screen: { readonly stdout: Sink; readonly stderr: Sink } = process,
): Promise<ExitCode> {
  let word = "";
  try {
    const { values, named } = await parse(words);
    word = String(values["_"][0]);
    const command = named.get(word);
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
    return exitCodeOfFailure(error.failure, word === "migrate");
  }
}

/** The commands that these words can mean, by their names; a word may be the value of an option as well. */
async function loadNamed(words: readonly string[]): Promise<ReadonlyMap<string, Command>> {
  const named = new Map<string, Command>();
  for (const [name, { load }] of Object.entries(COMMANDS)) {
    if (words.includes(name)) named.set(name, await load());
  }
  return named;
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
  const named = await loadNamed(words);
  for (const [name, { summary }] of Object.entries(COMMANDS)) {
    parser = parser.command(name, summary, (its) => its.options(named.get(name)?.options ?? {}));
  }
  return { values: await parser.parseAsync(), named };
}

function helpFor([word = ""]: readonly string[]): string {
  return Object.hasOwn(COMMANDS, word) ? `tristage ${word} --help` : "tristage --help";
}
