/** A look at the stamps: how many pages were written within the last `windowMs`. */
export interface WindowCount {
  readonly windowMs: number;
  readonly pages: number;
}

/**
 * How many different pages a guest writes within a time, as measured at a few lengths of it and straight
 * lines between. If the guest goes on as it did, this is what a pass of that length finds dirty: the
 * working set of P. Denning (CACM 1968), of writes alone.
 */
export class WorkingSet {
  /** Rising in both, from nothing at no time. */
  private readonly points: readonly WindowCount[];

  /** `counts` in any order; beyond the longest the last slope goes on, up to `mostPages`. */
  constructor(
    counts: readonly WindowCount[],
    private readonly mostPages: number,
  ) {
    const points: WindowCount[] = [{ windowMs: 0, pages: 0 }];
    for (const { windowMs, pages } of [...counts].sort((a, b) => a.windowMs - b.windowMs)) {
      const last = points.at(-1)!;
      // A longer time never has fewer pages, whatever the noise of measuring.
      if (windowMs > last.windowMs) points.push({ windowMs, pages: Math.max(pages, last.pages) });
    }
    this.points = points;
  }

  /** Pages that are written within `windowMs`. */
  within(windowMs: number): number {
    const [first, last] = this.around(windowMs);
    const spanMs = last.windowMs - first.windowMs;
    const slope = spanMs === 0 ? 0 : (last.pages - first.pages) / spanMs;
    return Math.min(this.mostPages, first.pages + slope * (windowMs - first.windowMs));
  }

  /**
   * The mean of `within` over all times from 0 to `windowMs`: what is dirty at the end of a pass of that
   * length which marks each page when its turn comes.
   */
  meanWithin(windowMs: number): number {
    return this.meanBetween(0, windowMs);
  }

  /** The mean of `within` over all times between the two. */
  meanBetween(fromMs: number, toMs: number): number {
    if (toMs <= fromMs) return this.within(fromMs);
    const between = ({ windowMs }: WindowCount) => windowMs > fromMs && windowMs < toMs;
    const knots = [fromMs, ...this.points.filter(between).map(({ windowMs }) => windowMs), toMs];
    let area = 0;
    for (let at = 1; at < knots.length; at += 1) {
      const [from, to] = [knots[at - 1]!, knots[at]!];
      area += ((this.within(from) + this.within(to)) / 2) * (to - from);
    }
    return area / (toMs - fromMs);
  }

  /** The two points between which `windowMs` lies, or the last two. */
  private around(windowMs: number): [WindowCount, WindowCount] {
    const after = this.points.findIndex((point) => point.windowMs >= windowMs);
    const at = Math.max(1, after === -1 ? this.points.length - 1 : after);
    const first = this.points[at - 1]!;
    return [first, this.points[at] ?? first];
  }
}
