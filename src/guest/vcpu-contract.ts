import type { RecordableHistogram } from "node:perf_hooks";
import type { Failure } from "../failure.js";
import type { RamHandle } from "../memory/ram.js";
import type { GuestOptions } from "./program.js";

/** What a vCPU thread is born with. The words that it shares with the host stand in memory/words.ts. */
export interface VcpuSeat {
  readonly ram: RamHandle;
  readonly vcpu: number;
  /** As `loadProgram` takes it. */
  readonly program: string;
  /** What the program's file must be; null for a built-in. */
  readonly programSha256: string | null;
  readonly options: GuestOptions;
  /** How missing pages are asked for; null for a guest that was born here. */
  readonly faults: FaultTables | null;
  /** Microseconds that each fault took; shared by all vCPUs of the guest. */
  readonly latencyUs: RecordableHistogram;
}

/** What the vCPUs of a guest share to ask for missing pages. */
export interface FaultTables {
  /** See transport/fault-lines.ts. */
  readonly lines: SharedArrayBuffer;
  /** Bitmap of pages asked for already, so that equal requests merge. */
  readonly requested: SharedArrayBuffer;
  /** Bitmap of pages that came along with another, and that no vCPU has touched yet. */
  readonly prepulled: SharedArrayBuffer;
}

/** Host to vCPU, while the vCPU does not run. */
export type VcpuCommand =
  | { readonly type: "boot" }
  | { readonly type: "start"; readonly cpu: object; readonly operations: number };

/** VCPU to host. Times are of the process's monotonic clock. */
export type VcpuReport =
  | { readonly type: "ready" }
  | { readonly type: "booted"; readonly cpus: readonly object[] }
  | { readonly type: "started"; readonly firstOperationMs: number }
  | {
      readonly type: "paused";
      readonly cpu: object;
      readonly operations: number;
      /** Some pages that it touched last, and is likely to touch first when it goes on; see GUEST_WORDS.WATCH. */
      readonly touched: readonly number[];
      readonly pausedMs: number;
    }
  | { readonly type: "failed"; readonly failure: Failure };
