/**
 * A page is hot, and left to stage three, if it was written within this many times the time that the pass would still
 * take if nothing more were deferred: see docs/adr/0008.
 */
export const LOOK_BACK = 1.5;

/** As much of the past as a pass may want to look back on. */
const MOST_ENTRIES = 4096;

/** When epochs were opened, so that a page's stamp tells when it was last written. */
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
    if (this.epochs.length <= MOST_ENTRIES) return;
    this.epochs.splice(0, MOST_ENTRIES / 2);
    this.openedMs.splice(0, MOST_ENTRIES / 2);
  }

  /** All that is known, oldest first. */
  entries(): readonly EpochOpening[] {
    return this.epochs.map((epoch, at) => ({ epoch, atMs: this.openedMs[at] ?? 0 }));
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
