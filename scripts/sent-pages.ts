import type { Report } from "../src/protocol/report.js";

/** Pages whose contents crossed, repeats included. Of one that went as a delta, the share of it that did. */
export function sentPages({ pages, bytes, pageBytes }: Report): number {
  return pages.transferred + bytes.delta / pageBytes;
}
