import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** The threads and sockets of a migration hold its memory; they end within this time of it. */
const SETTLE_MS = 1500;

/**
 * Gives the memory of a guest that is no longer here back to the machine soon. JavaScript frees it only when
 * it collects garbage, and an idle host may not do that for hours; gigabytes should not wait so long.
 */
export function freeMemorySoon(): void {
  const timer = setTimeout(() => {
    setFlagsFromString("--expose-gc");
    const collect = runInNewContext("gc") as () => void;
    collect();
  }, SETTLE_MS);
  timer.unref();
}
