import { libc } from "./libc.js";

/** `madvise` of Linux: the same number on every processor but parisc. */
const MADV_HUGEPAGE = 14;

/**
 * Asks the kernel to give `memory` in huge pages as it is touched (Linux: transparent huge pages). A first
 * touch then costs one fault for 2 MiB instead of 512 faults, which is most of what receiving a page costs
 * (docs/adr/0013). Returns whether the kernel took the advice; without it all works, slower.
 *
 * A huge page is given whole, so a guest that touches its memory here and there takes more of the machine's,
 * though never more than its size.
 */
export function adviseHugePages(memory: SharedArrayBuffer): boolean {
  const library = libc();
  if (library === undefined) return false;
  const madvise = library.handle.func("int madvise(void *, size_t, int)") as (
    at: Uint8Array,
    byteCount: number,
    advice: number,
  ) => number;
  return madvise(new Uint8Array(memory), memory.byteLength, MADV_HUGEPAGE) === 0;
}
