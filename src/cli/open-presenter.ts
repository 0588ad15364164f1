import { monotonicClock } from "../clock.js";
import { jsonPresenter } from "./show/json-presenter.js";
import { plainPresenter } from "./show/plain-presenter.js";
import type { Presenter } from "./show/presenter.js";

/**
 * How this process shows things: as JSON, on a terminal, or as plain lines. What only a terminal needs is
 * loaded only for one.
 */
export async function openPresenter({ json }: { json: boolean }): Promise<Presenter> {
  if (json) return jsonPresenter(process.stdout, process.stderr);
  if (process.stdout.isTTY) {
    const { terminalPresenter } = await import("./show/terminal-presenter.js");
    return terminalPresenter(process.stdout);
  }
  return plainPresenter(process.stdout, monotonicClock);
}
