import { timestamp } from "../clock.js";
import type { DestPhase } from "../dest/phase.js";
import type { Report } from "../protocol/report.js";
import type { Estimate } from "../source/estimate/estimate.js";
import type { SourcePhase } from "../source/phase.js";

/** What a host tells the person or program that watches it; one line of JSON each with `--json`. */
export type HostEvent =
  ListeningEvent | GuestEvent | PhaseEvent | ProgressEvent | Report | ErrorEvent;

/** An event, and when it happened by the wall clock of the host that tells it: ISO 8601, UTC. */
export type Told<Event extends HostEvent = HostEvent> = Event & { readonly at: string };

/** The event, as of now. */
export function told<Event extends HostEvent>(event: Event): Told<Event> {
  return { ...event, at: timestamp() };
}

/** The host accepts migrations at `address` and control requests at `control`; real ports. */
export interface ListeningEvent {
  readonly event: "listening";
  readonly host: string;
  /** HOST:PORT for migrations; null for a host that receives none. */
  readonly address: string | null;
  readonly control: string;
}

export type GuestState =
  "booting" | "running" | "paused" | "arriving" | "migrating" | "inDoubt" | "stranded" | "crashed";

/** A guest appeared here or changed its state. */
export interface GuestEvent {
  readonly event: "guest";
  readonly guestId: string;
  readonly guest: string;
  readonly state: GuestState | "released" | "discarded";
  readonly generation: number;
}

export type Direction = "outgoing" | "incoming";
export type PhaseName = SourcePhase["name"] | DestPhase["name"];

/** A migration entered a phase. `text` is one sentence for people. */
export interface PhaseEvent {
  readonly event: "phase";
  readonly migrationId: string;
  readonly direction: Direction;
  readonly guestId: string;
  readonly guest: string;
  readonly phase: PhaseName;
  /** 1, 2 or 3; null outside the three stages. */
  readonly stage: 1 | 2 | 3 | null;
  readonly text: string;
}

/** Several times a second while a migration runs. */
export interface ProgressEvent {
  readonly event: "progress";
  readonly migrationId: string;
  readonly direction: Direction;
  readonly stage: 1 | 2 | 3;
  /** Pages of this stage that are done, and how many it has. */
  readonly pagesDone: number;
  readonly pagesTotal: number;
  /** Page bytes per second over the last interval. */
  readonly bytesPerSecond: number;
  /** Until this stage ends at that rate; null while unknown. */
  readonly secondsLeft: number | null;
  readonly guestOpsPerSecond: number | null;
  readonly faults: number;
}

export interface ErrorEvent {
  readonly event: "error";
  readonly code: string;
  readonly text: string;
  /** The migration that it ended, if any. */
  readonly migrationId: string | null;
}

/** A guest as `tristage status` shows it. */
export interface GuestStatus {
  readonly guestId: string;
  readonly guest: string;
  readonly state: GuestState;
  readonly memoryBytes: number;
  readonly vcpuCount: number;
  readonly generation: number;
  /** Operations since its birth, over all vCPUs, and per second of late. */
  readonly operations: number;
  readonly operationsPerSecond: number;
}

/** What a host knows of itself. */
export interface HostState {
  readonly host: string;
  readonly version: string;
  readonly pid: number;
  readonly address: string | null;
  readonly guests: readonly GuestStatus[];
  readonly migrations: readonly (PhaseEvent & { readonly progress: ProgressEvent | null })[];
}

/** The same as its control endpoint, whose address this is, tells it. */
export interface HostStatus extends HostState {
  readonly control: string;
}

/** The answer to a request for an estimate; never told to those who watch. */
export interface EstimateEvent extends Estimate {
  readonly event: "estimate";
  readonly guestId: string;
  readonly guest: string;
  /** HOST:PORT of the destination. */
  readonly to: string;
  /** The limit of another migration that the link was measured within, in bytes per second, where no lower one was asked for. */
  readonly heldTo: number | null;
}

/** A paused guest's identity, to compare with another's: equal digests mean equal guests. */
export interface GuestDigest {
  readonly guestId: string;
  readonly guest: string;
  /** As `loadProgram` takes it. */
  readonly program: string;
  readonly options: Readonly<Record<string, string>>;
  readonly memoryBytes: number;
  /** Operations done by each vCPU. */
  readonly operations: readonly number[];
  /** SHA-256 of all memory, hexadecimal. */
  readonly memorySha256: string;
  /** CPU state of each vCPU as canonical JSON. */
  readonly cpus: readonly string[];
}
