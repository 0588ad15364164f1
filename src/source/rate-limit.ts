import type { Clock } from "../clock.js";
import { PAGE_BYTES } from "../memory/geometry.js";
import { MAX_DATA_PAGES } from "../protocol/limits.js";

const NS_PER_MS = 1e6;
/**
 * How long one frame takes at a limited rate, at most. A pass has fewer and larger frames, since each costs a
 * good part of a millisecond on both sides, which the guest wants for itself: at 160 Mbit/s, on two
 * cores, it had 96 to 99 % of one with 20 ms, and 81 to 91 % with 5. A frame that is pushed stands between a guest
 * and what it waits for next.
 */
export const FRAME_MS = { pass: 20, push: 5 } as const;

/**
 * Idle time is made up for only this far: a limit is a limit in every stretch that people look at. Together with the
 * frame that overdraws it (`FRAME_MS`), a second has at most 3 % too much. It has to be longer than a sender waits for a core
 * when others want it (4 ms and more), or that time is lost for good: with 2 ms, two busy cores sent at 153 to 180 MB/s
 * where 187.5 were allowed, with 10 ms at 176 to 188 (`memtester` of 128 MiB, 3 runs of each).
 */
const BURST_NS = 10n * 1_000_000n;

/**
 * Holds all channels together to a number of bytes per second.
 *
 * The shared state is one 64-bit word, the time in nanoseconds at which everything sent so far is paid for
 * (a virtual clock, as in the generic cell rate algorithm, ITU-T I.371). Who wants to send waits until that time has come, and
 * sets it forward by what the frame will cost at most, with one compare-and-exchange: so of all who wait for the same moment one
 * goes, and the rate is overdrawn by one frame, however many send. What the frame did not cost is given back when it
 * has left. The word is only used with Atomics; nothing else is ordered by it.
 */
export class RateLimit {
  private readonly paidUntil: BigInt64Array;
  /** What this sender has paid for the frame that it may send now. */
  private reservedNs: bigint | undefined;

  constructor(
    state: SharedArrayBuffer,
    readonly bytesPerSecond: number | undefined,
    /** How many send at once, in as many threads. */
    readonly senders: number,
    private readonly clock: Clock,
  ) {
    this.paidUntil = new BigInt64Array(state);
  }

  static createState(): SharedArrayBuffer {
    return new SharedArrayBuffer(8);
  }

  /**
   * Pages with contents of one frame, so that those of all senders together take `frameMs`; unlimited, as many as it may
   * have.
   */
  framePages(frameMs: number): number {
    if (this.bytesPerSecond === undefined) return MAX_DATA_PAGES;
    const bytes = (this.bytesPerSecond * frameMs) / 1000 / this.senders;
    return Math.max(1, Math.min(Math.floor(bytes / PAGE_BYTES), MAX_DATA_PAGES));
  }

  /** Resolves when a frame of up to `bytes` may leave. To be followed by `charge`, also where none leaves after all. */
  async ready(bytes: number): Promise<void> {
    if (this.bytesPerSecond === undefined) return;
    const costNs = this.costNs(bytes);
    while (this.reservedNs === undefined) {
      const before = Atomics.load(this.paidUntil, 0);
      const waitNs = before - this.nowNs();
      if (waitNs > 0n) await this.sleep(waitNs);
      else if (this.moveFrom(before, costNs)) this.reservedNs = costNs;
    }
  }

  /** Counts `bytes` as sent, in place of what `ready` has counted in advance. */
  charge(bytes: number): void {
    if (this.bytesPerSecond === undefined) return;
    const dueNs = this.costNs(bytes) - (this.reservedNs ?? 0n);
    this.reservedNs = undefined;
    for (;;) {
      if (this.moveFrom(Atomics.load(this.paidUntil, 0), dueNs)) return;
    }
  }

  /**
   * Timers count whole milliseconds and fire late, never early; what is lost to that comes back, because the virtual
   * clock does not move with it.
   */
  private sleep(ns: bigint): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, Number(ns) / NS_PER_MS));
  }

  /** False where another sender was faster. */
  private moveFrom(before: bigint, byNs: bigint): boolean {
    const earliest = this.nowNs() - BURST_NS;
    const after = (before > earliest ? before : earliest) + byNs;
    return Atomics.compareExchange(this.paidUntil, 0, before, after) === before;
  }

  private costNs(bytes: number): bigint {
    return BigInt(Math.round((bytes / (this.bytesPerSecond ?? Infinity)) * 1e9));
  }

  private nowNs(): bigint {
    return BigInt(Math.round(this.clock.nowMs() * NS_PER_MS));
  }
}
