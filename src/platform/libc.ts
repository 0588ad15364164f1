import { createRequire } from "node:module";
import { isMainThread } from "node:worker_threads";
import type * as Koffi from "koffi";

interface Libc {
  readonly handle: Koffi.LibraryHandle;
  /** Why the last call failed that this thread made. */
  readonly errno: () => number;
}

let library: Libc | null | undefined;

/**
 * The C library of this machine, for the few things that Node.js has no word for. Undefined where koffi is not
 * installed (it is optional), or the system is not Linux: whoever asks must do without. So must every thread but the main one: a thread that
 * is ended while it loads koffi takes the whole process with it, and every guest.
 */
export function libc(): Libc | undefined {
  library ??= open();
  return library ?? undefined;
}

function open(): Libc | null {
  if (process.platform !== "linux" || !isMainThread) return null;
  try {
    const koffi = createRequire(import.meta.url)("koffi") as typeof Koffi;
    // Already in the process: Node.js itself is linked to it, whichever C library it is.
    return { handle: koffi.load(null), errno: () => koffi.errno() };
  } catch {
    return null;
  }
}
