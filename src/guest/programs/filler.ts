import type { GuestMemory } from "../../memory/access.js";
import { PAGE_BYTES } from "../../memory/geometry.js";
import { fillWords, type Random } from "./random.js";

/** Large enough that the copy costs little per page, small enough for the processor's cache. */
const PIECE_PAGES = 64;

/**
 * Fills `pageCount` pages from byte `address` with random bytes: no page is zero, none is like
 * another, and none can be compressed.
 */
export function fillPages(
  memory: GuestMemory,
  address: number,
  pageCount: number,
  random: Random,
): void {
  const words = new Int32Array((PIECE_PAGES * PAGE_BYTES) / 4);
  const bytes = new Uint8Array(words.buffer);
  const end = address + pageCount * PAGE_BYTES;
  for (let at = address; at < end; at += bytes.length) {
    fillWords(random, words);
    memory.writeBytes(at, bytes.subarray(0, Math.min(bytes.length, end - at)));
  }
}

/** Fills all memory in that way. */
export function fillMemory(memory: GuestMemory, random: Random): void {
  fillPages(memory, 0, memory.byteLength / PAGE_BYTES, random);
}
