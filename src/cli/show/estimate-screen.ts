import type { EstimateEvent } from "../../host/events.js";
import { formatBytes, formatMs, formatRate } from "../../units.js";
import { columns } from "./columns.js";
import { formatNumber, percent, printable } from "./sentences.js";
import type { Style } from "./style.js";

const HEADINGS = ["algorithm", "downtime", "total time", "pages sent", "of the guest's"];

/** An estimate as `tristage estimate` shows it: what was measured, and what follows for each algorithm. */
export function estimateScreen(estimate: EstimateEvent, style: Style): string[] {
  const { guest, to, memoryBytes, pageBytes, contentPages, predictions } = estimate;
  const pageCount = memoryBytes / pageBytes;
  const measured = [
    [
      "guest",
      `${formatBytes(memoryBytes)}, ${percent(contentPages, pageCount)} of its pages not zero`,
    ],
    ["writes", writesOf(estimate)],
    ["link", linkOf(estimate)],
  ].map(([name = "", text = ""]) => `  ${name.padEnd(8)} ${text}`);
  const rows = predictions.map(({ algorithm, downtimeMs, totalMs, pages }) => [
    printable(algorithm),
    formatMs(downtimeMs),
    formatMs(totalMs),
    formatNumber(pages),
    percent(pages, pageCount),
  ]);
  return [
    style("bold", printable(`${guest} to ${to}: what a migration would cost now`)),
    ...measured,
    "",
    ...columns([HEADINGS, ...rows], (column) => column > 0),
  ];
}

function linkOf({ bytesPerSecond, roundTripMs, heldTo }: EstimateEvent): string {
  const link = `${formatRate(bytesPerSecond)}, round trip ${formatMs(roundTripMs)}`;
  if (heldTo === null) return link;
  return `${link}; held to ${formatRate(heldTo)} by a migration`;
}

function writesOf({ dirtyPagesPerSecond, pageBytes, bytesPerSecond }: EstimateEvent): string {
  const pages = `${formatNumber(dirtyPagesPerSecond)} different pages a second`;
  const rate = dirtyPagesPerSecond * pageBytes;
  return `${pages}, ${(rate / bytesPerSecond).toFixed(2)} of what the link carries`;
}
