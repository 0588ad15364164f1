import type { Presenter, Sink } from "./presenter.js";

/** Newline-delimited events on `stdout` and nothing else there; what is said to people goes to `stderr`. */
export function jsonPresenter(stdout: Sink, stderr: Sink): Presenter {
  return {
    show: (event) => stdout.write(`${JSON.stringify(event)}\n`),
    say: (text) => stderr.write(`tristage: ${text}\n`),
    aside: (write) => {
      write();
    },
    close: () => undefined,
  };
}
