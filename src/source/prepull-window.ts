const FIRST_PAGES = 4;
const MOST_PAGES = 128;

/**
 * How many pages follow a fault, and which: one for each vCPU, since each walks memory in its own way.
 *
 * The destination tells with each fault how many prepulled pages that vCPU has touched so far. Where at
 * least half of the last window was touched, the window doubles; else it halves, down to none, and
 * random access pays for nothing but its own pages. Two faults in a row at the same distance make that
 * distance the stride; without one the window lies ahead of the fault.
 *
 * Pure: proposes page indexes, and knows nothing of who sends them.
 */
export class PrepullWindow {
  private pages = FIRST_PAGES;
  private lastFault: number | undefined;
  private lastStep = 0;
  private stride = 1;
  private proposed = 0;
  private hitsBefore = 0;

  constructor(private readonly pageCount: number) {}

  /**
   * The vCPU faulted on `page`, and has touched `hits` prepulled pages since the start. Returns the pages that
   * are worth sending along, nearest first; `wanted` says which of them can still be sent.
   */
  follow(page: number, hits: number, wanted: (page: number) => boolean): number[] {
    this.learn(page, hits);
    const window: number[] = [];
    let near = page + this.stride;
    // Pages that need not be sent cost nothing, so the window reaches past them, but not for ever.
    for (let looked = 0; looked < this.pages * 4 && window.length < this.pages; looked += 1) {
      if (near < 0 || near >= this.pageCount) break;
      if (wanted(near)) window.push(near);
      near += this.stride;
    }
    this.proposed = window.length;
    return window;
  }

  get windowPages(): number {
    return this.pages;
  }

  private learn(page: number, hits: number): void {
    const fresh = hits - this.hitsBefore;
    this.hitsBefore = hits;
    const step = this.lastFault === undefined ? 0 : page - this.lastFault;
    const isSteady = step !== 0 && step === this.lastStep;
    this.lastFault = page;
    this.lastStep = step;
    if (isSteady && fresh === 0) {
      // It strides past what was prepulled: go with it.
      this.stride = step;
      this.pages = Math.max(this.pages, FIRST_PAGES);
    } else if (this.proposed > 0 && fresh * 2 >= this.proposed) {
      this.pages = Math.min(this.pages * 2, MOST_PAGES);
    } else if (this.proposed > 0) {
      // An integer, without a half in between that V8 would have to undo.
      this.pages >>>= 1;
      if (this.pages === 0) this.stride = 1;
    } else if (Math.abs(step) === 1) {
      // Faults on neighbours: a walk has begun.
      this.stride = step;
      this.pages = FIRST_PAGES;
    }
  }
}
