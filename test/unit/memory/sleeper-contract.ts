import type { RamHandle } from "../../../src/memory/ram.js";
import { QUIESCENT } from "../../../src/memory/words.js";

export interface SleeperSeat {
  readonly ram: RamHandle;
  readonly observed: SharedArrayBuffer;
}

/** The word with the epoch that the vCPU would stamp a write with, or `STANDING_STILL`. */
export const OBSERVED = 0;
export const STANDING_STILL = QUIESCENT;
