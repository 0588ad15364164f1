import type { RamHandle } from "../../../src/memory/ram.js";

/** A thread of the publication test; all stand at the gate between two rounds. */
export interface PublicationSeat {
  readonly ram: RamHandle;
  readonly gate: SharedArrayBuffer;
  readonly seed: number;
  /** The vCPU that reads; null for the thread that fills pages. */
  readonly vcpu: number | null;
}

/** At the gate, a vCPU tells what it read since the last time. */
export interface ReaderReport {
  /** Reads of pages that it had to wait for, that had arrived, and that were published. */
  readonly waited: number;
  readonly found: number;
  readonly published: number;
  /** The first word that was not what it had to be. */
  readonly wrong: { readonly address: number; readonly read: number } | null;
}

/** What stands in memory where no page has arrived. */
export const STALE = 0xdeadbeef;

/** What the word at `address` holds once its page has arrived in `round`; never `STALE`. */
export function freshWord(address: number, round: number): number {
  return (Math.imul(address + round * 4, 0x9e3779b1) & 0x7fffffff) >>> 0;
}
