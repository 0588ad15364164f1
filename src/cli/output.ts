import { pino, type Logger } from "pino";
import pretty from "pino-pretty";
import { monotonicClock } from "../clock.js";
import type { Arguments } from "./arguments.js";
import { jsonPresenter } from "./show/json-presenter.js";
import { plainPresenter } from "./show/plain-presenter.js";
import type { Presenter } from "./show/presenter.js";
import { terminalPresenter } from "./show/terminal-presenter.js";

export interface Output {
  readonly presenter: Presenter;
  readonly logger: Logger;
}

/** How this process shows things: as JSON, on a terminal, or as plain lines. Logs go to stderr. */
export function openOutput(args: Arguments): Output {
  const presenter = choosePresenter(args.flag("json"));
  // Written at once and in this thread, so that nothing is lost when the process ends.
  const format = process.stderr.isTTY ? prettyLines() : (line: string) => line;
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

function choosePresenter(json: boolean): Presenter {
  if (json) return jsonPresenter(process.stdout, process.stderr);
  if (process.stdout.isTTY) return terminalPresenter(process.stdout);
  return plainPresenter(process.stdout, monotonicClock);
}

function prettyLines(): (line: string) => string {
  return pretty.prettyFactory({
    colorize: process.stderr.hasColors(),
    translateTime: "SYS:HH:MM:ss.l",
    ignore: "pid,hostname",
    singleLine: true,
  });
}
