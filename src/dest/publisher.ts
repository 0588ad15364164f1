import type { AtomicPageBitmap, PageBitmap } from "../memory/bitmap.js";
import { openEpoch, whenEpochHolds } from "../memory/epoch.js";
import type { GuestRam } from "../memory/ram.js";
import { FIRST_EPOCH } from "../memory/words.js";

/**
 * How often arrived pages are published. Until then an access to them costs one atomic load more, so there
 * is no hurry.
 */
const PUBLISH_INTERVAL_MS = 20;

/**
 * Turns the stamp of arrived pages from `ABSENT` to present, for every vCPU at once.
 *
 * A stamp is read plainly, so it may turn only when every vCPU is sure to see the page behind it: when
 * each has passed a safepoint since the page was filled. An epoch opened after the page arrived
 * gives just that (epoch.ts, 3).
 */
export class Publisher {
  private timer: NodeJS.Timeout | undefined;
  private underWay: Promise<void> = Promise.resolve();

  /**
   * `missing` is given over: the pages whose stamp is `ABSENT`. Pages of `untouched` wait until they are
   * touched, so that the touch is noticed, or until `finish`. `areHot` when pages are missing because the
   * guest wrote them a short while ago: their stamps say so, for a migration that soon follows.
   */
  constructor(
    private readonly ram: GuestRam,
    private readonly missing: PageBitmap,
    private readonly untouched: AtomicPageBitmap,
    private readonly areHot: boolean,
  ) {}

  start(): void {
    this.timer = setInterval(() => {
      void this.publish(this.untouched);
    }, PUBLISH_INTERVAL_MS);
    this.timer.unref();
  }

  /** Publishes every page that has arrived until now. */
  finish(): Promise<void> {
    clearInterval(this.timer);
    return this.publish();
  }

  private publish(except?: AtomicPageBitmap): Promise<void> {
    this.underWay = this.underWay.then(() => this.publishArrived(except));
    return this.underWay;
  }

  private async publishArrived(except?: AtomicPageBitmap): Promise<void> {
    const pages = this.ram.arrived.takeFrom(this.missing, except);
    if (pages.length === 0) return;
    const { words, vcpuCount, stamps } = this.ram;
    const epoch = openEpoch(words);
    await whenEpochHolds(words, vcpuCount, epoch);
    stampPages(stamps, pages, this.areHot ? epoch : FIRST_EPOCH);
  }
}

/** A function of its own, so that a host can rehearse it. */
export function stampPages(stamps: Int32Array, pages: readonly number[], stamp: number): void {
  for (const page of pages) stamps[page] = stamp;
}
