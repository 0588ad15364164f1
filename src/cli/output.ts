import { pino, type Logger } from "pino";
import { monotonicClock } from "../clock.js";
import type { Arguments } from "./arguments.js";
import { jsonPresenter } from "./show/json-presenter.js";
import { plainPresenter } from "./show/plain-presenter.js";
import type { Presenter } from "./show/presenter.js";

export interface Output {
  readonly presenter: Presenter;
  readonly logger: Logger;
}

/**
 * How this process shows things: as JSON, on a terminal, or as plain lines. Logs go to stderr. What only a
 * terminal needs is loaded only for one: a daemon has better uses for 20 MiB.
 */
export async function openOutput(args: Arguments): Promise<Output> {
  const presenter = await choosePresenter(args.flag("json"));
  // Written at once and in this thread, so that nothing is lost when the process ends.
  const format = process.stderr.isTTY ? await prettyLines() : (line: string) => line;
  const destination = {
    write: (line: string) => {
      presenter.aside(() => process.stderr.write(format(line)));
    },
  };
  return {
    presenter,
    logger: pino({ level: args.flag("verbose") ? "debug" : "warn" }, destination),
  };
}

async function choosePresenter(json: boolean): Promise<Presenter> {
  if (json) return jsonPresenter(process.stdout, process.stderr);
  if (process.stdout.isTTY) {
    const { terminalPresenter } = await import("./show/terminal-presenter.js");
    return terminalPresenter(process.stdout);
  }
  return plainPresenter(process.stdout, monotonicClock);
}

async function prettyLines(): Promise<(line: string) => string> {
  const { default: pretty } = await import("pino-pretty");
  return pretty.prettyFactory({
    colorize: process.stderr.hasColors(),
    translateTime: "SYS:HH:MM:ss.l",
    ignore: "pid,hostname",
    singleLine: true,
  });
}
