import type { Failure } from "../failure.js";
import type { RamHandle } from "../memory/ram.js";
import type { ArrivalTablesHandle } from "./arrival-tables.js";

/** What a channel thread of the destination is born with. Shared tables: arrival-tables.ts. */
export interface ChannelSeat {
  readonly channel: string;
  /** Which of the bulk channels it is, from 0 on; null for the urgent one. */
  readonly bulkIndex: number | null;
  readonly ram: RamHandle;
  readonly tables: ArrivalTablesHandle;
}

/** Main thread to channel. */
export interface ChannelOpening {
  /** The source has connected the channel, on this descriptor: see transport/hand-over.ts. */
  readonly fd: number;
}

/** Channel to main thread. */
export type ChannelReport =
  /** The last missing page has arrived. */
  { readonly type: "whole" } | { readonly type: "failed"; readonly failure: Failure };
