import type { Clock } from "../clock.js";
import type { StageProgress } from "../protocol/progress.js";
import type { Report } from "../protocol/report.js";
import type { Address } from "../transport/address.js";
import type { Policy } from "./algorithms/algorithm.js";
import type { SourcePhase } from "./phase.js";
import type { Tuning } from "./tuning.js";

/** What the user asks of one migration. */
export interface OutgoingOptions {
  readonly migrationId: string;
  readonly to: Address;
  readonly token: string | null;
  readonly generation: number;
  readonly channels: number;
  /** Bytes per second over all channels; undefined is unlimited. */
  readonly maxBandwidth: number | undefined;
  /** The same in stage three, for what is pushed; undefined is as before. */
  readonly maxPostcopyBandwidth: number | undefined;
  readonly policy: Policy;
  readonly tuning: Tuning;
  /** How long a source in doubt asks before it gives up. */
  readonly askMs: number;
}

/** What the host is told, and what it does for an outgoing migration. */
export interface OutgoingHost {
  readonly clock: Clock;
  /** That this generation is being handed over; on disk when it returns. */
  journalHandover(generation: number): void;
  /** That the guest stays here after all. */
  journalKept(generation: number): void;
  phaseChanged(phase: SourcePhase): void;
  progressed(progress: StageProgress): void;
  /** The destination has everything: forget the guest and free its memory. */
  release(): Promise<void>;
  reported(report: Report): void;
}
