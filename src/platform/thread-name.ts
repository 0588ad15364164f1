import { writeFileSync } from "node:fs";

/**
 * Gives the calling thread a name that `top -H`, `ps -L` and `perf` show; Linux keeps 15 bytes of it. Where there
 * is no such thing, the thread stays without.
 */
export function nameThread(name: string): void {
  try {
    writeFileSync("/proc/thread-self/comm", name);
  } catch {
    // Only people read it.
  }
}
