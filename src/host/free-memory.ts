import { setImmediate, setTimeout as delay } from "node:timers/promises";
import type { GuestRam } from "../memory/ram.js";
import { collectGarbage } from "../platform/collect-garbage.js";

/** The threads and sockets of a migration hold its memory, and most have ended when its report comes. */
const FIRST_TRY_MS = 100;
/** Each try comes after twice the time of the one before. */
const LAST_TRY_MS = 3200;

/**
 * Gives the memory of a guest that is no longer here back to the machine soon. JavaScript frees it only when it collects
 * garbage, and an idle host may not do that for hours; gigabytes should not wait so long. A guest that comes soon should
 * find them free.
 */
export function freeMemorySoon(ram: GuestRam): void {
  // A function that waits keeps its arguments meanwhile, so what waits must not be given the memory itself.
  void collect(new WeakRef(ram.buffer));
}

async function collect(buffer: WeakRef<SharedArrayBuffer>): Promise<void> {
  for (let waitMs = FIRST_TRY_MS; waitMs <= LAST_TRY_MS; waitMs *= 2) {
    await delay(waitMs, undefined, { ref: false });
    collectGarbage();
    // What a WeakRef gave is kept until the turn ends, so it is asked in a turn that collects nothing.
    await setImmediate();
    if (buffer.deref() === undefined) return;
  }
}
