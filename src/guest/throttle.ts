import { GUEST_WORDS } from "../memory/words.js";

/** A sleep is late by up to a tenth of a millisecond, so short ones are put together. */
const LEAST_SLEEP_MS = 1;

/**
 * Slows one vCPU down to the share of time that the host leaves it (`GUEST_WORDS.THROTTLE`):
 * whatever it runs, it owes sleep for. A sleep that takes too long is made up for by the next.
 */
export class Throttle {
  private debtMs = 0;

  constructor(private readonly words: Int32Array) {}

  /** The vCPU has run for `ranMs`: how long it is to sleep now, 0 for not yet. */
  owed(ranMs: number): number {
    const percent = Atomics.load(this.words, GUEST_WORDS.THROTTLE);
    if (percent === 0) {
      this.debtMs = 0;
      return 0;
    }
    this.debtMs += (ranMs * percent) / (100 - percent);
    return this.debtMs >= LEAST_SLEEP_MS ? this.debtMs : 0;
  }

  /** It has slept that long. */
  paid(sleptMs: number): void {
    this.debtMs -= sleptMs;
  }
}
