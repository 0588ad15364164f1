import type { GuestEvent, HostEvent, ProgressEvent } from "../../host/events.js";
import type { Report } from "../../protocol/report.js";
import { formatCount, formatMs, formatRate } from "../../units.js";

/** An event as one line for people. */
export function sentenceOf(event: Exclude<HostEvent, Report>): string {
  return printable(wordsOf(event));
}

function wordsOf(event: Exclude<HostEvent, Report>): string {
  switch (event.event) {
    case "listening": {
      const { address, control } = event;
      const migrations = address === null ? "" : `listening for migrations on ${address}, `;
      return `${migrations}control on ${control}`;
    }
    case "guest":
      return `guest ${event.guest} (${event.guestId}) ${GUEST_STATES[event.state]}`;
    case "phase": {
      const stage = event.stage === null ? "" : `stage ${String(event.stage)}: `;
      return `${event.guest}: ${stage}${event.text}`;
    }
    case "progress":
      return progressSentence(event);
    case "error":
      return `error: ${event.text}`;
  }
}

const GUEST_STATES: Readonly<Record<GuestEvent["state"], string>> = {
  booting: "is booting",
  running: "is running here",
  paused: "is paused",
  arriving: "is arriving",
  migrating: "is migrating",
  inDoubt: "is paused, in doubt: the other side may have taken it over",
  stranded: "is stranded: it runs on one host, and pages that it lacks are on the other",
  crashed: "has crashed",
  released: "is no longer here",
  discarded: "was discarded",
};

function progressSentence(event: ProgressEvent): string {
  const { stage, pagesDone, pagesTotal, bytesPerSecond, guestOpsPerSecond, faults } = event;
  const parts = [
    `stage ${String(stage)}: ${percent(pagesDone, pagesTotal)}`,
    `${formatNumber(pagesDone)} of ${formatNumber(pagesTotal)} pages`,
    formatRate(bytesPerSecond),
    event.secondsLeft === null ? "" : `${formatMs(event.secondsLeft * 1000)} left`,
    guestOpsPerSecond === null ? "" : `guest ${formatOps(guestOpsPerSecond)}`,
    faults === 0 ? "" : `${formatNumber(faults)} faults`,
  ];
  return parts.filter((part) => part !== "").join(", ");
}

/** Texts come over the network too, and a control character could take over the reader's terminal. */
export function printable(text: string): string {
  return text.replaceAll(/\p{Cc}+/gu, " ");
}

/** `53 %`; everything of nothing is 100 %. */
export function percent(part: number, whole: number): string {
  return `${String(whole === 0 ? 100 : Math.floor((100 * part) / whole))} %`;
}

/** `262,144`. */
export function formatNumber(value: number): string {
  return value.toLocaleString("en-US");
}

/** `1.23 Mop/s`; a dash where it could not be observed. */
export function formatOps(perSecond: number | null): string {
  return perSecond === null ? "–" : `${formatCount(perSecond)}op/s`;
}
