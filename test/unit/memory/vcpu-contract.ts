import type { RamHandle } from "../../../src/memory/ram.js";

/**
 * What a vCPU is born with that writes hard (vcpu-worker.ts). It keeps to a few pages for a slice of
 * 20 to 200 µs, then moves on, so that many pages have their last write close to the moment when
 * somebody reads them. At the gate it says "paused".
 */
export interface WriterSeat {
  readonly ram: RamHandle;
  readonly vcpu: number;
  readonly seed: number;
  readonly gate: SharedArrayBuffer;
}

/** Pages at the start of memory where the vCPUs meet. */
export const SHARED_PAGES = 16;
