/**
 * Compares two hosts' clocks by pings, as NTP does: the peer read its clock half a round trip after the
 * ping left, give or take half a round trip. The smallest round trip gives the tightest estimate.
 */
export class ClockComparison {
  private smallestMs = Number.POSITIVE_INFINITY;
  private differenceMs = 0;

  /** A ping left at `sentMs` and its answer came at `nowMs`, by our clock; the peer read `theirMs`. */
  observe(sentMs: number, theirMs: number, nowMs: number): void {
    const roundTripMs = nowMs - sentMs;
    if (roundTripMs < 0 || roundTripMs >= this.smallestMs) return;
    this.smallestMs = roundTripMs;
    this.differenceMs = theirMs - (sentMs + roundTripMs / 2);
  }

  /** The smallest round trip seen; infinite before the first. */
  get roundTripMs(): number {
    return this.smallestMs;
  }

  /** Our time at the peer's `theirMs`. */
  toOurs(theirMs: number): number {
    return theirMs - this.differenceMs;
  }
}
