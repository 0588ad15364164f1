import type { MessagePort } from "node:worker_threads";
import type { Failure } from "../failure.js";
import type { RamHandle } from "../memory/ram.js";
import type { ArrivalTablesHandle } from "./arrival-tables.js";

/** What a channel thread of the destination is born with. Shared tables: arrival-tables.ts. */
export interface ChannelSeat {
  readonly channel: string;
  readonly ram: RamHandle;
  readonly tables: ArrivalTablesHandle;
}

/** Main thread to channel. */
export type ChannelCommand =
  /** The source has connected the channel, on this descriptor: see transport/hand-over.ts. */
  | { readonly type: "open"; readonly fd: number }
  /** To the urgent channel, once it is open: page indexes to ask for come in at these ports, one a vCPU. */
  | { readonly type: "faultLines"; readonly doorbells: readonly MessagePort[] };

/** Channel to main thread. */
export type ChannelReport =
  /** The last missing page has arrived. */
  { readonly type: "whole" } | { readonly type: "failed"; readonly failure: Failure };
