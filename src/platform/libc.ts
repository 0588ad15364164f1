import { createRequire } from "node:module";
import type * as Koffi from "koffi";

let library: Koffi.LibraryHandle | null | undefined;

/**
 * The C library of this machine, for the few things that Node.js has no word for. Undefined where koffi is not
 * installed (it is optional), or the system is not Linux: whoever asks must do without.
 */
export function libc(): Koffi.LibraryHandle | undefined {
  library ??= open();
  return library ?? undefined;
}

function open(): Koffi.LibraryHandle | null {
  if (process.platform !== "linux") return null;
  try {
    const koffi = createRequire(import.meta.url)("koffi") as typeof Koffi;
    // Already in the process: Node.js itself is linked to it, whichever C library it is.
    return koffi.load(null);
  } catch {
    return null;
  }
}
