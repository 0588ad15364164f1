import { libc } from "./libc.js";

/** `mallopt`'s word for the size from which a block has memory of its own. */
const M_MMAP_THRESHOLD = -3;
/** What glibc begins with. */
const THRESHOLD_BYTES = 128 * 1024;

/**
 * Has large blocks that are freed go back to the system at once, now and in threads that are still to start. Otherwise glibc raises the
 * size of what it calls large whenever a larger block is freed, up to 32 MiB, and keeps what is smaller for the thread that had it:
 * with each migration some more (docs/adr/0027). To name the size is what stops that. Returns whether the C library took
 * it; one that is not glibc has its own ways.
 */
export function returnFreedMemory(): boolean {
  try {
    const mallopt = libc()?.handle.func("int mallopt(int, int)") as
      ((option: number, value: number) => number) | undefined;
    return mallopt?.(M_MMAP_THRESHOLD, THRESHOLD_BYTES) === 1;
  } catch {
    return false; // There is no such function.
  }
}
