import type { HostEvent } from "../../host/events.js";

/** Shows a person or a program what a host does. */
export interface Presenter {
  show(event: HostEvent): void;
  /** A sentence for the person at the keyboard, beside the events. */
  say(text: string): void;
  /** Lets something else, such as a log line, write to the same screen without tearing it. */
  aside(write: () => void): void;
  /** Leaves the screen as it is now. */
  close(): void;
}

/** What a presenter writes to. */
export interface Sink {
  write(text: string): unknown;
}
