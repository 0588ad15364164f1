import type { Clock } from "../clock.js";
import type { StageProgress } from "../protocol/progress.js";
import type { Report, RequestedMigration } from "../protocol/report.js";
import type { Address } from "../transport/address.js";
import type { Policy } from "./algorithms/algorithm.js";
import type { SourcePhase } from "./phase.js";

/** What the user asks of one migration. */
export interface OutgoingOptions {
  readonly migrationId: string;
  /** When it was asked for, as the report tells it. */
  readonly startedAt: string;
  /** The id of this host. */
  readonly from: string;
  readonly to: Address;
  readonly token: string | null;
  readonly generation: number;
  readonly channels: number;
  readonly request: RequestedMigration;
  /** The algorithm that was asked for. */
  readonly policy: Policy;
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
