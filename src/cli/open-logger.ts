import { pino, type Logger } from "pino";
import type { Presenter } from "./show/presenter.js";

/** A host's log, on stderr, so that it stays apart from the events that `presenter` shows. */
export async function openLogger(
  { verbose }: { verbose: boolean },
  presenter: Presenter,
): Promise<Logger> {
  // Written at once and in this thread, so that nothing is lost when the process ends.
  const format = process.stderr.isTTY ? await prettyLines() : (line: string) => line;
  const destination = {
    write: (line: string) => {
      presenter.aside(() => process.stderr.write(format(line)));
    },
  };
  return pino({ level: verbose ? "debug" : "warn" }, destination);
}

/** Loaded only for a terminal: a daemon has better uses for 20 MiB. */
async function prettyLines(): Promise<(line: string) => string> {
  const { default: pretty } = await import("pino-pretty");
  return pretty.prettyFactory({
    colorize: process.stderr.hasColors(),
    translateTime: "SYS:HH:MM:ss.l",
    ignore: "pid,hostname",
    singleLine: true,
  });
}
