import type { Failure } from "../failure.js";
import type { RamHandle } from "../memory/ram.js";
import type { Frame } from "../protocol/frame.js";
import type { Address } from "../transport/address.js";
import type { AttachRequest } from "../transport/attach.js";
import type { EpochOpening } from "./epoch-history.js";
import type { MigrationTablesHandle } from "./migration-tables.js";
import type { Tuning } from "./tuning.js";

/** What a channel thread of the source is born with. Shared tables: migration-tables.ts. */
export interface ChannelSeat {
  /** See protocol/channel-names.ts. */
  readonly channel: string;
  readonly to: Address;
  /** Its own connection, and of the urgent channel also the vCPUs' fault lines. */
  readonly connections: readonly [own: AttachRequest, ...lines: AttachRequest[]];
  readonly ram: RamHandle;
  readonly tables: MigrationTablesHandle;
  /** How many bulk channels the migration has. */
  readonly bulkCount: number;
  /** Bytes per second over all channels; undefined is unlimited. */
  readonly rates: {
    readonly pass: number | undefined;
    readonly drain: number | undefined;
  };
  readonly tuning: Tuning;
}

/** What sends pages before the switchover. */
export type PassCommand = Extract<ChannelCommand, { type: "pass" | "round" }>;

/** Main thread to channel. Passes come one at a time, each answered by `done`; `connect` by `attached`. */
export type ChannelCommand =
  /** The destination is ready for its channels. */
  | { readonly type: "connect" }
  | {
      readonly type: "pass";
      readonly pass: number;
      /** Epochs opened before the pass, so that its first chunks know which pages are hot. */
      readonly history: readonly EpochOpening[];
    }
  | {
      /** A pass over the pages of `planned` in the shared tables. */
      readonly type: "round";
      readonly pass: number;
      /** Pages written in this epoch or later are left for the next round; Infinity for none. */
      readonly skipSince: number;
    }
  /** The guest was handed over, and is likely to touch these first. Not answered. */
  | { readonly type: "sendAhead"; readonly pages: readonly number[] }
  /** Stage three: pages of `planned` in the shared tables. Not answered: the destination says when it has all. */
  | { readonly type: "push" }
  /** Stage three: these before what is pushed. Not answered. */
  | { readonly type: "prepull"; readonly pages: Uint32Array };

/** Channel to main thread. */
export type ChannelReport =
  /** With the descriptors of its connections, which belong to the whole process. */
  | { readonly type: "attached"; readonly descriptors: readonly number[] }
  /** The destination's `failed` message. */
  | { readonly type: "refused"; readonly frame: Frame }
  /** The pass has reached the destination. */
  | { readonly type: "done" }
  /** The urgent channel: these should go before what is pushed. */
  | { readonly type: "prepull"; readonly pages: Uint32Array }
  | { readonly type: "failed"; readonly failure: Failure };
