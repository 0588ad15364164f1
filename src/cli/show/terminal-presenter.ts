import { clearLine, cursorTo } from "node:readline";
import type { WriteStream } from "node:tty";
import { createLogUpdate } from "log-update";
import type { HostEvent, PhaseEvent, ProgressEvent } from "../../host/events.js";
import { isFinal } from "../final-phase.js";
import { advance, liveBlock, type LiveMigration } from "./live-block.js";
import type { Presenter } from "./presenter.js";
import { reportScreen } from "./report-screen.js";
import { sentenceOf } from "./sentences.js";
import { styleFor } from "./style.js";

/** The part of a terminal that is needed here. */
export type Screen = NodeJS.WritableStream & Pick<WriteStream, "isTTY" | "hasColors">;

/**
 * For a person at a terminal: lines that stay, and below them a block for each migration under way that is
 * drawn over itself.
 */
export function terminalPresenter(screen: Screen): Presenter {
  const style = styleFor(screen);
  // The cursor stays visible: hidden, it would stay so after a `kill -9`.
  const block = createLogUpdate(screen, { showCursor: true });
  const migrations = new Map<string, LiveMigration>();

  const draw = (): void => {
    const lines = [...migrations.values()].flatMap((migration) => liveBlock(migration, style));
    if (lines.length > 0) block(lines.join("\n"));
    else block.clear();
  };
  const aside = (write: () => void): void => {
    block.clear();
    // The terminal itself has echoed `^C` where the cursor stands.
    clearLine(screen, 0);
    cursorTo(screen, 0);
    write();
    draw();
  };
  const line = (text: string): void => {
    aside(() => screen.write(`${text}\n`));
  };

  const advanceAndDraw = (event: PhaseEvent | ProgressEvent): void => {
    const migration = advance(migrations.get(event.migrationId), event);
    if (migration !== undefined) migrations.set(event.migrationId, migration);
    draw();
  };

  const show = (event: HostEvent): void => {
    switch (event.event) {
      case "phase":
        if (isFinal(event)) {
          migrations.delete(event.migrationId);
          // What went out ends with a report, which says it all.
          if (event.direction === "incoming") line(sentenceOf(event));
          else draw();
        } else advanceAndDraw(event);
        return;
      case "progress":
        advanceAndDraw(event);
        return;
      case "report":
        migrations.delete(event.migrationId);
        line(reportScreen(event, style).join("\n"));
        return;
      case "error":
        if (event.migrationId !== null) migrations.delete(event.migrationId);
        line(style("red", sentenceOf(event)));
        return;
      case "listening":
      case "guest":
        line(sentenceOf(event));
    }
  };
  return {
    show,
    say: (text) => {
      line(style("yellow", text));
    },
    aside,
    close: () => {
      block.clear();
      block.done();
    },
  };
}
