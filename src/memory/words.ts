/**
 * The Int32 words that the threads of one guest share, and who writes each. All are accessed with
 * Atomics only.
 */

/** Words of the whole guest. */
export const GUEST_WORDS = {
  /** Whoever opens an epoch adds one. Starts at `FIRST_EPOCH`. */
  EPOCH: 0,
  /** Host: percent of a vCPU's time that it is to sleep; 0 to 99. vCPUs look after each slice. */
  THROTTLE: 1,
  /** Host, before it asks for a pause: 1 if a vCPU shall tell which pages it works on when it stops, else 0. */
  WATCH: 2,
  /** Host: of a page that the guest rewrites, the blocks that change, per mille; see source/rewrite-watch.ts. */
  REWRITTEN: 3,
} as const;

/** Words of one vCPU, from `vcpuWords(vcpu)` on. */
export const VCPU_WORDS = {
  /** vCPU: the last epoch that it acknowledged at a safepoint, or `QUIESCENT`. */
  ACKNOWLEDGED: 0,
  /** Host: counts what it asked of the vCPU: see `isPause`. The vCPU looks at each safepoint. */
  REQUEST: 1,
  /** vCPU: operations since its thread started, modulo 2^32. */
  OPERATIONS: 2,
  /** vCPU: one more than the page that it waits for; the thread that brings the page sets it to 0. */
  AWAITED: 3,
  /** vCPU: accesses that found their page missing. */
  FAULTS: 4,
  /** vCPU: microseconds that it waited in faults, modulo 2^32. */
  BLOCKED_US: 5,
  /** vCPU: prepulled pages that it was the first to touch. */
  PREPULL_HITS: 6,
} as const;

/**
 * Requests alternate: even ones let the vCPU run, odd ones pause it. They are counted, so that a vCPU which
 * wakes late does not take a new pause for the old one.
 */
export function isPause(request: number): boolean {
  return (request & 1) === 1;
}

const GUEST_BLOCK = 16;
/** 64 bytes, a cache line: vCPUs do not slow each other by writing next to one another. */
const VCPU_BLOCK = 16;

/** Index of the first word of `vcpu`. */
export function vcpuWords(vcpu: number): number {
  return GUEST_BLOCK + vcpu * VCPU_BLOCK;
}

/** Words of a guest with `vcpuCount` vCPUs. */
export function wordCount(vcpuCount: number): number {
  return vcpuWords(vcpuCount);
}

/**
 * Stamps are epochs; fresh memory carries this one, which is older than any mark. A page with it was never
 * written since the kernel gave it, so it is zero, and nobody needs to look.
 */
export const NEVER = 0;
/** The stamp of a page that was written on another host, too. */
export const FIRST_EPOCH = 1;

/** The stamp of a page whose contents have not been published here. Any negative stamp would do. */
export const ABSENT = -1;

/**
 * In `ACKNOWLEDGED`: the vCPU touches no memory and will look at the epoch before it does. Newer than
 * every epoch, so that nobody waits for it.
 */
export const QUIESCENT = 0x7fffffff;
