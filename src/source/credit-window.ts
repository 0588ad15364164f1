/** A requested page may wait behind this much pushed data, at the rate that the link showed. */
const QUEUE_MS = 4;
const FIRST_LIMIT_BYTES = 256 * 1024;
/** A window below a few pages would stop the link between credits. */
const LEAST_LIMIT_BYTES = 32 * 1024;
const MOST_LIMIT_BYTES = 4 * 1024 * 1024;
/** The link's rate is the best of this many samples: it forgets a good moment after that many. */
const RATE_SAMPLES = 16;

/**
 * How many bytes may be under way on a channel in stage three: what the link carries in its shortest
 * delay, and a few milliseconds more. The window then keeps the link busy, and a requested page waits behind
 * little. (The idea of BBR, Cardwell et al., 2016: rate and delay are measured, and loss is not waited for.)
 *
 * Pure: told what is sent and credited, and when.
 */
export class CreditWindow {
  private underWay = 0;
  private limit = FIRST_LIMIT_BYTES;
  private leastDelayMs = Number.POSITIVE_INFINITY;
  private readonly rates: number[] = [];
  /** Frames under way, oldest first: when each left, its bytes, and what had been credited by then. */
  private readonly frames: { sentMs: number; bytes: number; creditedBefore: number }[] = [];
  private credited = 0;

  /** Bytes sent and not yet credited. */
  get underWayBytes(): number {
    return this.underWay;
  }

  get limitBytes(): number {
    return this.limit;
  }

  /** Whether another frame may leave. */
  get isOpen(): boolean {
    return this.underWay < this.limit;
  }

  sent(bytes: number, nowMs: number): void {
    this.underWay += bytes;
    this.frames.push({ sentMs: nowMs, bytes, creditedBefore: this.credited });
  }

  /**
   * The destination has taken in `bytes`. False when that is not what was sent: a credit covers whole frames,
   * oldest first.
   */
  credit(bytes: number, nowMs: number): boolean {
    let left = bytes;
    while (left > 0) {
      const frame = this.frames.shift();
      if (frame === undefined || frame.bytes > left) return false;
      left -= frame.bytes;
      this.underWay -= frame.bytes;
      this.credited += frame.bytes;
      this.measure(nowMs - frame.sentMs, this.credited - frame.creditedBefore);
    }
    return true;
  }

  /** While a frame was under way for `delayMs`, `bytes` were delivered, itself included. */
  private measure(delayMs: number, bytes: number): void {
    const delay = Math.max(delayMs, 0.01);
    this.leastDelayMs = Math.min(this.leastDelayMs, delay);
    this.rates.push(bytes / delay);
    if (this.rates.length > RATE_SAMPLES) this.rates.shift();
    const bytesPerMs = Math.max(...this.rates);
    const limit = bytesPerMs * (this.leastDelayMs + QUEUE_MS);
    this.limit = Math.max(LEAST_LIMIT_BYTES, Math.min(limit, MOST_LIMIT_BYTES));
  }
}
