import type { Failure } from "../failure.js";
import type { RamHandle } from "../memory/ram.js";
import type { PURPOSE } from "../protocol/pages.js";
import type { Address } from "../transport/address.js";
import type { ChannelName } from "../transport/attach.js";
import type { MigrationTablesHandle } from "./migration-tables.js";

/** What a channel thread of the source is born with. Shared tables: migration-tables.ts. */
export interface ChannelSeat extends ChannelName {
  readonly to: Address;
  readonly ram: RamHandle;
  readonly tables: MigrationTablesHandle;
  readonly bytesPerSecond: number | undefined;
  /** Pages that are marked and read together in a pass. */
  readonly chunkPages: number;
}

/** Main thread to channel. One at a time; each is answered by `done`, except `close`. */
export type ChannelCommand =
  | { readonly type: "pass"; readonly pass: number }
  | {
      readonly type: "batch";
      readonly purpose: typeof PURPOSE.PUSH | typeof PURPOSE.PREPULL;
      readonly pages: Uint32Array;
    };

/** Channel to main thread. */
export type ChannelReport =
  | { readonly type: "attached" }
  /** The pass has reached the destination, or the batch has left. */
  | { readonly type: "done" }
  /** The guest faulted on `page`; it is on its way. */
  | { readonly type: "faulted"; readonly page: number }
  | { readonly type: "failed"; readonly failure: Failure };
