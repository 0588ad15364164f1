import type { Clock } from "../../clock.js";
import type { ProgressEvent } from "../../host/events.js";
import type { Presenter, Sink } from "./presenter.js";
import { reportScreen } from "./report-screen.js";
import { sentenceOf } from "./sentences.js";
import { plainStyle } from "./style.js";

const PROGRESS_INTERVAL_MS = 1000;

/** One line for each event, for logs and pipes; progress at most once a second. */
export function plainPresenter(stdout: Sink, clock: Clock): Presenter {
  const progressShownMs = new Map<string, number>();
  const line = (text: string) => stdout.write(`${text}\n`);

  const isDue = ({ migrationId }: ProgressEvent): boolean => {
    const now = clock.nowMs();
    const last = progressShownMs.get(migrationId) ?? -Infinity;
    if (now - last < PROGRESS_INTERVAL_MS) return false;
    progressShownMs.set(migrationId, now);
    return true;
  };

  return {
    show: (event) => {
      if (event.event === "report") {
        progressShownMs.delete(event.migrationId);
        line(reportScreen(event, plainStyle).join("\n"));
      } else if (event.event !== "progress" || isDue(event)) {
        line(sentenceOf(event));
      }
    },
    say: line,
    aside: (write) => {
      write();
    },
    close: () => undefined,
  };
}
