import type { AlgorithmChoice } from "../source/algorithms/choice.js";
import type { TuningChoice } from "../source/tuning.js";
import type { EstimateEvent, GuestDigest, HostState, Told } from "./events.js";

export interface MigrateRequest extends AlgorithmChoice {
  /** HOST:PORT of the destination. */
  readonly to: string;
  /** May be left out when the host has one guest. */
  readonly guestId?: string | undefined;
  /** Bytes per second over all channels. */
  readonly maxBandwidth?: number | undefined;
  /** The same in stage three, for what is pushed. */
  readonly maxPostcopyBandwidth?: number | undefined;
  readonly channels?: number | undefined;
  readonly tuning?: TuningChoice | undefined;
}

export interface EstimateRequest {
  /** HOST:PORT of the destination. */
  readonly to: string;
  /** May be left out when the host has one guest. */
  readonly guestId?: string | undefined;
  /** Bytes per second: what the migration would be held to. */
  readonly maxBandwidth?: number | undefined;
  /** How long the guest is watched; 2 s unless told otherwise. */
  readonly durationMs?: number | undefined;
}

export interface ResumeRequest {
  /** Also a guest in doubt: whoever asks has made sure that it runs nowhere else. */
  readonly inDoubt?: boolean | undefined;
}

export interface DiscardRequest {
  /** Also a guest in doubt, which may be the last there is of it, and a stranded one, which may still run. */
  readonly force?: boolean | undefined;
}

/** How long a source in doubt asks before it leaves the decision to a person. */
export const ASK_MS = 30_000;

/** How long an estimate watches a guest unless told otherwise. */
export const DEFAULT_ESTIMATE_MS = 2000;

/** The longest that one request may watch a guest. */
export const MAX_ESTIMATE_MS = 60_000;

/**
 * What a host does for the command line and for the control endpoint. Every method that fails rejects
 * with a `MigrationError`.
 */
export interface HostService {
  status(): HostState;
  /** Starts a migration and returns its id; its end comes as a `report` event. */
  migrate(request: MigrateRequest): Promise<{ readonly migrationId: string }>;
  /** Measures a guest and the link to a destination, and predicts; disturbs neither. */
  estimate(request: EstimateRequest): Promise<EstimateEvent>;
  /** Cancels a migration before the guest is handed over; later it is refused, since it is moving. */
  cancel(migrationId: string, by: string): void;
  pause(guestId: string): Promise<void>;
  /** Refused while the guest's migration is still under way: whether it may run is not known yet. */
  resume(guestId: string, request?: ResumeRequest): Promise<void>;
  /** Ends a paused or crashed guest, and gives its memory back soon. Refused while its migration is under way. */
  discard(guestId: string, request?: DiscardRequest): Promise<void>;
  /** Pauses the guest if it runs, digests it, and lets it go on as it was. */
  digest(guestId: string): Promise<GuestDigest>;
  /** Calls `listener` with each event from now on; the result stops it. */
  watch(listener: (event: Told) => void): () => void;
}
