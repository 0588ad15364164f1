import { PageBitmap } from "./bitmap.js";

/** Of this many pages each, in turn. */
const STRETCHES = ["all", "some", "none"] as const;

/**
 * Pages for rehearsals: stretches of `pageCount` / 27, of which all are in the set, every third, or none. Code that V8 compiled for
 * one kind would not do for all. Some are the last of their word in a bitmap, where
 * arithmetic leaves 32 bits.
 */
export function mixedPages(pageCount: number): PageBitmap {
  const pages = PageBitmap.empty(pageCount);
  const stretchPages = Math.ceil(pageCount / (9 * STRETCHES.length));
  for (let page = 0; page < pageCount; page += 1) {
    const stretch = STRETCHES[Math.floor(page / stretchPages) % STRETCHES.length];
    if (stretch === "all" || (stretch === "some" && page % 3 === 0)) pages.add(page);
  }
  return pages;
}
