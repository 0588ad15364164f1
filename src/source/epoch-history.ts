/**
 * A page is hot, and left to stage three, if it was written within this many times the time that the pass would still
 * take if nothing more were deferred: see docs/adr/0008.
 */
export const LOOK_BACK = 1.5;

/**
 * What the blocks of a page are is noted as it is sent, for a delta later, if it was written within this many times that: who does not
 * write a page for so long hardly does it now. See docs/adr/0031.
 */
export const LOOK_BACK_FOR_DELTAS = 50;

/** So many of the newest are known exactly: 40 s of a clock that ticks every 20 ms. */
const EXACT_ENTRIES = 2048;
const MOST_ENTRIES = 2 * EXACT_ENTRIES;
/** Of those before them as many are known as tell how long ago something was to one part in so many. */
const PRECISION = 64;

/**
 * When epochs were opened, so that a page's stamp tells when it was last written: exactly for the last while, and ever less
 * so the longer ago that was. A pass looks far back only where it takes long itself.
 */
export class EpochHistory {
  private readonly epochs: number[] = [];
  private readonly openedMs: number[] = [];

  constructor(entries: readonly EpochOpening[] = []) {
    for (const { epoch, atMs } of entries) this.note(epoch, atMs);
  }

  /** In rising order of both. */
  note(epoch: number, atMs: number): void {
    this.epochs.push(epoch);
    this.openedMs.push(atMs);
    if (this.epochs.length > MOST_ENTRIES) this.thin();
  }

  private thin(): void {
    const { epochs, openedMs } = this;
    const exact = epochs.length - EXACT_ENTRIES;
    const nowMs = openedMs.at(-1) ?? 0;
    let kept = 0;
    for (let at = 0; at < epochs.length; at += 1) {
      const gapWithoutMs = (openedMs[at + 1] ?? nowMs) - (openedMs[kept - 1] ?? -Infinity);
      const ageMs = nowMs - (openedMs[at] ?? 0);
      if (at < exact && gapWithoutMs * PRECISION <= ageMs) continue;
      epochs[kept] = epochs[at] ?? 0;
      openedMs[kept] = openedMs[at] ?? 0;
      kept += 1;
    }
    epochs.length = kept;
    openedMs.length = kept;
  }

  /** All that is known, oldest first. */
  entries(): readonly EpochOpening[] {
    return this.epochs.map((epoch, at) => ({ epoch, atMs: this.openedMs[at] ?? 0 }));
  }

  /** Whether it goes back as far as that. */
  knows(atMs: number): boolean {
    return (this.openedMs[0] ?? Infinity) <= atMs;
  }

  /**
   * The oldest known epoch that was opened at `atMs` or later: a page stamped with it or a newer one was
   * written after that. Infinite when none was: then nobody knows of any such page.
   */
  firstSince(atMs: number): number {
    let low = 0;
    let high = this.openedMs.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.openedMs[middle] ?? 0) < atMs) low = middle + 1;
      else high = middle;
    }
    return this.epochs[low] ?? Number.POSITIVE_INFINITY;
  }
}

export interface EpochOpening {
  readonly epoch: number;
  readonly atMs: number;
}
