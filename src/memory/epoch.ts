import { GUEST_WORDS, QUIESCENT, VCPU_WORDS, vcpuWords } from "./words.js";

/**
 * Epochs order plain guest accesses without an atomic on the fast path.
 *
 * A vCPU stamps the pages it writes with the epoch that it *acknowledged*, which it renews only at
 * safepoints. To open an epoch, a thread adds one to the shared word and waits until every vCPU has
 * acknowledged it. Then:
 *
 * 1. Every write stamped with an older epoch is visible to the opener. The vCPU's acknowledgement is
 *    an atomic store after those writes, and the opener's atomic load of it synchronizes with it.
 * 2. Every later write is stamped with this epoch or a newer one, since the vCPU took it over before
 *    it went on.
 * 3. Whatever the opener did before it opened the epoch is visible to every vCPU from now on: the vCPU
 *    read the new epoch with an atomic load before it acknowledged.
 *
 * So a page read after (1) misses no write with an older stamp, and a write that the reader raced
 * carries a stamp that is not older (2): write tracking. And a page filled before the epoch opened may be
 * shown to all by a plain store to its stamp afterwards (3): publication. None of this leans on the
 * order in which a processor makes plain stores visible, so it holds on ARM as on x86-64.
 *
 * Several vCPUs that write one page need one more round. One that is still in an older epoch may put
 * its stamp over that of one that has gone ahead and whose data is not visible yet. So, with several
 * vCPUs, a reader lets a second epoch hold after the first (tracker.ts): by then that data is visible,
 * and nobody who could leave a stamp older than the first epoch is left.
 *
 * A vCPU that sleeps, waits in a fault or is paused says `QUIESCENT`, and nobody waits for it. It leaves
 * that state as Dekker's algorithm enters a critical section: it first withdraws the word, then reads the
 * epoch. Both are sequentially consistent, so either the opener sees the withdrawal and waits, or the
 * vCPU sees the new epoch.
 */

/** A vCPU's side. Belongs to one thread. */
export class EpochMember {
  /** The epoch that this vCPU stamps with. */
  current = 0;
  private readonly acknowledged: number;

  constructor(
    private readonly words: Int32Array,
    vcpu: number,
  ) {
    this.acknowledged = vcpuWords(vcpu) + VCPU_WORDS.ACKNOWLEDGED;
  }

  /** A safepoint: acknowledges the epoch if it is new. All writes of this vCPU lie before or after it. */
  acknowledge(): void {
    const epoch = Atomics.load(this.words, GUEST_WORDS.EPOCH);
    if (epoch !== this.current) this.say(epoch);
  }

  /** From now until `rejoin` this thread touches no guest memory. */
  quiesce(): void {
    Atomics.store(this.words, this.acknowledged, QUIESCENT);
    Atomics.notify(this.words, this.acknowledged);
  }

  /** Takes part again; sees all that was published meanwhile. */
  rejoin(): void {
    Atomics.store(this.words, this.acknowledged, this.current);
    this.say(Atomics.load(this.words, GUEST_WORDS.EPOCH));
  }

  private say(epoch: number): void {
    this.current = epoch;
    Atomics.store(this.words, this.acknowledged, epoch);
    Atomics.notify(this.words, this.acknowledged);
  }
}

/** Opens a new epoch and returns it. It holds for all only once `epochHolds`. */
export function openEpoch(words: Int32Array): number {
  const epoch = Atomics.add(words, GUEST_WORDS.EPOCH, 1) + 1;
  // 2^31 epochs last 24 days of uninterrupted migration at a chunk per millisecond.
  if (epoch >= QUIESCENT) throw new RangeError("the guest has used up its epochs");
  return epoch;
}

/** Whether every vCPU has acknowledged `epoch`. */
export function epochHolds(words: Int32Array, vcpuCount: number, epoch: number): boolean {
  return laggard(words, vcpuCount, epoch) === undefined;
}

/** Resolves when every vCPU has acknowledged `epoch`. */
export async function whenEpochHolds(
  words: Int32Array,
  vcpuCount: number,
  epoch: number,
): Promise<void> {
  for (;;) {
    const at = laggard(words, vcpuCount, epoch);
    if (at === undefined) return;
    const seen = Atomics.load(words, at);
    if (seen >= epoch) continue;
    const { async, value } = Atomics.waitAsync(words, at, seen);
    if (async) await value;
  }
}

/** The word of a vCPU that has not acknowledged `epoch`. */
function laggard(words: Int32Array, vcpuCount: number, epoch: number): number | undefined {
  for (let vcpu = 0; vcpu < vcpuCount; vcpu += 1) {
    const at = vcpuWords(vcpu) + VCPU_WORDS.ACKNOWLEDGED;
    if (Atomics.load(words, at) < epoch) return at;
  }
  return undefined;
}
