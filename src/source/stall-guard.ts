import type { Clock } from "../clock.js";
import type { MigrationTables } from "./migration-tables.js";

/**
 * Tells a destination that works from one that answers pings and takes nothing any more: what it was given to take is neither all taken nor
 * becoming less. A guest or a limit that keeps pages back gives it nothing, and so does not count against it.
 */
export class StallGuard {
  private takenIn = 0;
  private sinceMs: number;

  constructor(
    private readonly counters: MigrationTables["counters"],
    private readonly clock: Clock,
  ) {
    this.sinceMs = clock.nowMs();
  }

  /** Something is due that is not made of bytes: it counts until `taken`. */
  given(): void {
    this.counters.add("handedOut", 1);
  }

  taken(): void {
    this.counters.add("takenIn", 1);
  }

  /** Milliseconds for which something was due and nothing has come of it; to be asked again and again. */
  stalledMs(): number {
    const { counters } = this;
    const nowMs = this.clock.nowMs();
    const takenIn = counters.read("takenIn");
    if (takenIn !== this.takenIn || takenIn === counters.read("handedOut")) this.sinceMs = nowMs;
    this.takenIn = takenIn;
    return nowMs - this.sinceMs;
  }
}
