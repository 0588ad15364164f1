import { PAGE_BYTES } from "../memory/geometry.js";

/** A page that the guest waits for may be behind this much pushed data, at the rate that the link showed… */
const QUEUE_MS = 4;
/**
 * …and behind no more than this on a fast link, over all channels. There it is the pages under way themselves that are waited for: they cannot be
 * asked for, and whoever touches one waits for all that left before it.
 */
const QUEUE_BYTES = 1536 * 1024;
/** A window holds so many frames: one arrives, one is on its way, and one is made. */
const WINDOW_FRAMES = 3;
/** A window that is used may be this many times as large as the measured rate asks for. */
const GROWTH = 2;
/** Before anything is known of the link, over all channels: 5 ms at 100 Mbit/s. */
const FIRST_LIMIT_BYTES = 64 * 1024;
/** Over all channels, but for a page on each: of three pages, 10 ms at 10 Mbit/s, two are under way while one is credited. */
const LEAST_LIMIT_BYTES = 12 * 1024;
const MOST_LIMIT_BYTES = 6 * 1024 * 1024;
/** No delay of the path itself is taken to be longer than that. */
const MOST_PATH_MS = 50;
/** Opening the window has paid off where the rate rose by this factor. */
const PAYS_OFF = 1.5;
/** How much longer the next such trial waits after one that did not pay off. */
const PATIENCE_GROWTH = 4;
/** No frame is taken to be faster: clocks have a grain. */
const LEAST_MS = 0.01;
/** The link's rate is the best of this many samples of a full window: it forgets a good moment after that many… */
const RATE_SAMPLES = 16;
/** …and not before so many of the shortest delays: where delays vary, good moments are rare, and a window that forgot them would fall, and the rate with it. */
const RATE_DELAYS = 32;

/** A frame under way. */
interface Frame {
  readonly sentMs: number;
  readonly bytes: number;
  /** What had been credited when it left, when the last of that was, and when that last frame had left. */
  readonly creditedBefore: number;
  readonly creditedMs: number;
  readonly creditedSentMs: number;
  /** The window was at least half full when it had left: a larger one would have been used. */
  readonly wasFull: boolean;
}

interface RateSample {
  readonly rate: number;
  readonly atMs: number;
  /** How many there were before it. */
  readonly index: number;
}

/** What held before the delay of the path was taken to be longer, and how many frames that has yet to pay off. */
interface Trial {
  readonly delayMs: number;
  readonly rate: number;
  framesLeft: number;
}

/**
 * How many bytes may be under way on a channel in stage three: what the link carries in its shortest
 * delay, and a few milliseconds or 1.5 MiB more. The window then keeps the link busy, and a requested page waits behind
 * little. (The idea of BBR, Cardwell et al., 2016: rate and delay are measured, and loss is not waited for.)
 *
 * What is measured can be no more than the window lets through, and is less where delays vary. So a window that is used grows by what is credited, up
 * to double in a round trip and to double of what the rate asks for, until frames take clearly longer than the shortest delay: then there is a queue.
 *
 * Pure: told what is sent and credited, and when.
 */
export class CreditWindow {
  private readonly queueBytes: number;
  private readonly leastBytes: number;
  /** A window up to that size holds no more than the smallest. */
  private readonly smallBytes: number;
  private underWay = 0;
  private limit: number;
  private frameLimit = PAGE_BYTES;
  private leastDelayMs = Number.POSITIVE_INFINITY;
  /** Samples of a full window that none after them reached: the first is the best. */
  private readonly rates: RateSample[] = [];
  private sampleCount = 0;
  /** How long frames took since the window has been as small as it gets, and how many are looked at before a trial. */
  private readonly floorDelaysMs: number[] = [];
  private patience = RATE_SAMPLES;
  private trial: Trial | undefined;
  /** Oldest first. */
  private readonly frames: Frame[] = [];
  private credited = 0;
  /** When a frame was last credited, and when that frame had left. */
  private creditedMs = 0;
  private creditedSentMs = 0;

  /**
   * One of so many `channels` of a migration. It sent at `passRate`, in bytes per millisecond, before; what it sent then may have come slower than the
   * link lets it, for want of a core, so the first credits may open the window.
   */
  constructor(channels: number, passRate = Number.POSITIVE_INFINITY) {
    this.queueBytes = QUEUE_BYTES / channels;
    this.leastBytes = Math.max(LEAST_LIMIT_BYTES / channels, PAGE_BYTES);
    this.smallBytes = Math.max(this.leastBytes, 2 * PAGE_BYTES);
    const firstBytes = Math.min(FIRST_LIMIT_BYTES / channels, passRate * QUEUE_MS);
    this.limit = Math.max(firstBytes, this.leastBytes);
  }

  /** Bytes sent and not yet credited. */
  get underWayBytes(): number {
    return this.underWay;
  }

  get limitBytes(): number {
    return this.limit;
  }

  /**
   * How large the next frame should be: a share of the window, and no more than half of what may be queued, or a long link would stand still
   * between frames. Until the first credit it is a page: what a small frame takes on a link with nothing on it is the delay of the path, and what a
   * large one takes on a slow link is not.
   */
  get frameBytes(): number {
    return Math.max(PAGE_BYTES, Math.min(this.limit / WINDOW_FRAMES, this.frameLimit));
  }

  /** Whether a frame of so many bytes may leave. Always, where less than half of the window is under way: or it could never be full. */
  hasRoomFor(bytes: number): boolean {
    const { underWay, limit } = this;
    return underWay * 2 < limit || underWay + bytes <= limit;
  }

  sent(bytes: number, nowMs: number): void {
    // After a silence, what is credited next says nothing of how fast.
    if (this.underWay === 0) this.creditedMs = this.creditedSentMs = nowMs;
    this.underWay += bytes;
    const { credited: creditedBefore, creditedMs, creditedSentMs } = this;
    const wasFull = this.underWay * 2 >= this.limit;
    this.frames.push({ sentMs: nowMs, bytes, creditedBefore, creditedMs, creditedSentMs, wasFull });
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
      this.learn(frame, nowMs);
    }
    return true;
  }

  /**
   * Since the last credit before the frame left, what was credited was delivered, itself included: not sooner than it was sent,
   * though. A thread that wants a core reads credits late and many at once, as if all had come in that moment.
   */
  private learn(frame: Frame, nowMs: number): void {
    const delayMs = Math.max(nowMs - frame.sentMs, LEAST_MS);
    this.leastDelayMs = Math.min(this.leastDelayMs, delayMs);
    const sendingMs = frame.sentMs - frame.creditedSentMs;
    const creditingMs = nowMs - frame.creditedMs;
    const rate =
      (this.credited - frame.creditedBefore) / Math.max(sendingMs, creditingMs, LEAST_MS);
    this.creditedMs = nowMs;
    this.creditedSentMs = frame.sentMs;
    if (frame.wasFull) this.sample(rate, nowMs);
    const best = Math.max(rate, this.rates[0]?.rate ?? 0);
    if (this.trial === undefined) this.lookAtFloor(delayMs, best);
    else this.judge(this.trial, best);
    const queueMs = Math.min(QUEUE_MS, this.queueBytes / best);
    const byRate = best * (this.leastDelayMs + queueMs);
    const hasQueue = delayMs > this.leastDelayMs * 1.5 + queueMs / 2;
    const grown = hasQueue ? 0 : Math.min(this.limit + frame.bytes, byRate * GROWTH);
    // That little was sent says nothing against the window.
    const limit = Math.max(byRate, frame.wasFull ? grown : this.limit);
    this.limit = Math.max(this.leastBytes, Math.min(limit, MOST_LIMIT_BYTES));
    // Nor against a frame.
    const share = this.limit / WINDOW_FRAMES;
    this.frameLimit = frame.wasFull ? (best * queueMs) / 2 : Math.max(this.frameLimit, share);
  }

  private sample(rate: number, atMs: number): void {
    const { rates } = this;
    while (rates.length > 0 && rates.at(-1)!.rate <= rate) rates.pop();
    rates.push({ rate, atMs, index: this.sampleCount });
    this.sampleCount += 1;
    const oldMs = atMs - RATE_DELAYS * this.leastDelayMs;
    const oldCount = this.sampleCount - RATE_SAMPLES;
    while (rates[0]!.index < oldCount && rates[0]!.atMs < oldMs) rates.shift();
  }

  /**
   * Where frames take long in the smallest window, the link is slow, or the path has become longer, or its hosts want for cores.
   * In the last two cases a larger window brings a higher rate, which is tried.
   */
  private lookAtFloor(delayMs: number, rate: number): void {
    const delays = this.floorDelaysMs;
    if (this.limit > this.smallBytes) delays.length = 0;
    else delays.push(delayMs);
    if (delays.length < this.patience) return;
    const pathMs = Math.min(...delays.splice(0));
    if (pathMs > MOST_PATH_MS) return;
    this.trial = { delayMs: this.leastDelayMs, rate, framesLeft: 2 * RATE_SAMPLES };
    this.leastDelayMs = pathMs;
  }

  private judge(trial: Trial, rate: number): void {
    trial.framesLeft -= 1;
    if (trial.framesLeft > 0) return;
    this.trial = undefined;
    if (rate >= trial.rate * PAYS_OFF) return;
    this.leastDelayMs = Math.min(this.leastDelayMs, trial.delayMs);
    this.patience *= PATIENCE_GROWTH;
  }
}
