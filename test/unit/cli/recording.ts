import { Writable } from "node:stream";
import type { Clock } from "../../../src/clock.js";
import type { HostEvent } from "../../../src/host/events.js";
import type { Presenter } from "../../../src/cli/show/presenter.js";

/** Keeps what is written to it. */
export class RecordingSink {
  text = "";

  write(text: string): void {
    this.text += text;
  }

  get lines(): string[] {
    return this.text.split("\n").slice(0, -1);
  }
}

/** Keeps what it is given to show and to say. */
export class RecordingPresenter implements Presenter {
  readonly events: HostEvent[] = [];
  readonly said: string[] = [];

  show(event: HostEvent): void {
    this.events.push(event);
  }

  say(text: string): void {
    this.said.push(text);
  }

  aside(write: () => void): void {
    write();
  }

  close(): void {
    this.said.push("closed");
  }
}

/** Stands still until it is moved. */
export class ManualClock implements Clock {
  constructor(private ms = 0) {}

  nowMs(): number {
    return this.ms;
  }

  advance(ms: number): void {
    this.ms += ms;
  }
}

const ESCAPE = "\u001b";
/** A control sequence, a line feed, a carriage return, or text. */
const PIECES = new RegExp(`${ESCAPE}\\[([?\\d;]*)([A-Za-z])|(\n)|(\r)|([^${ESCAPE}\n\r]+)`, "g");

/** A terminal of 80×24 without colour, seen as the rows that a person sees. */
export class RecordingScreen extends Writable {
  readonly isTTY = true;
  readonly columns = 80;
  readonly rows = 24;
  private readonly grid: string[] = [""];
  private row = 0;
  private column = 0;

  hasColors(): boolean {
    return false;
  }

  /** Rows from the first that was ever written, without trailing blanks. */
  get visible(): string[] {
    return this.grid.map((line) => line.trimEnd());
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    const pieces = chunk.toString().matchAll(PIECES);
    for (const [whole, digits = "", command, newline, carriage, text] of pieces) {
      if (newline !== undefined) this.moveTo(this.row + 1, 0);
      else if (carriage !== undefined) this.column = 0;
      else if (text !== undefined) this.put(text);
      else this.control(command ?? "", digits, whole);
    }
    done();
  }

  private control(command: string, digits: string, whole: string): void {
    const count = Number(digits || "1");
    const line = this.grid[this.row] ?? "";
    if (command === "A") this.moveTo(Math.max(0, this.row - count), this.column);
    else if (command === "B" || command === "E") this.moveTo(this.row + count, this.column);
    else if (command === "G") this.column = count - 1;
    else if (command === "K")
      this.grid[this.row] = digits === "2" ? "" : line.slice(0, this.column);
    else if (command !== "h" && command !== "l")
      throw new Error(`unknown ${JSON.stringify(whole)}`);
  }

  private put(text: string): void {
    const line = (this.grid[this.row] ?? "").padEnd(this.column);
    this.grid[this.row] = line.slice(0, this.column) + text + line.slice(this.column + text.length);
    this.column += text.length;
  }

  private moveTo(row: number, column: number): void {
    while (this.grid.length <= row) this.grid.push("");
    this.row = row;
    this.column = column;
  }
}
