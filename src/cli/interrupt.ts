import type { Direction, PhaseEvent, PhaseName } from "../host/events.js";

/** A migration under way, as far as Ctrl-C needs to know it. */
export interface ActiveMigration {
  readonly migrationId: string;
  readonly direction: Direction;
  readonly guestId: string;
  readonly guest: string;
  /** The furthest stage that it entered, see `stageForCancelling`; null before the first. */
  readonly stage: 1 | 2 | 3 | null;
  /** Every page has arrived: only the report is awaited, and nothing can be lost on the way. */
  readonly arrived: boolean;
  /** A person has asked to cancel it. */
  readonly cancelling: boolean;
}

/** What Ctrl-C does now. */
export type Interrupt =
  /** Cancels these migrations; their guests go on here. */
  | { readonly action: "cancel"; readonly migrations: readonly ActiveMigration[] }
  /** Says that these guests are between two hosts, and what a second Ctrl-C does. */
  | { readonly action: "warn"; readonly migrations: readonly ActiveMigration[] }
  /** Leaves, and loses guests that are between two hosts. */
  | { readonly action: "abandon" }
  | { readonly action: "close" };

/** A second Ctrl-C within this time leaves although a guest is moving. */
export const SECOND_PRESS_MS = 5000;

/**
 * A guest between two hosts would be lost with this process, so leaving it takes a second Ctrl-C.
 * One that has not moved yet stays: its migration is cancelled. Without a migration the host
 * closes.
 */
export function onInterrupt(
  active: readonly ActiveMigration[],
  sinceWarningMs: number | null,
): Interrupt {
  const moving = active.filter(isMoving);
  if (moving.length > 0) {
    const again = sinceWarningMs !== null && sinceWarningMs <= SECOND_PRESS_MS;
    return again ? { action: "abandon" } : { action: "warn", migrations: moving };
  }
  const migrations = active.filter((migration) => isStillHere(migration) && !migration.cancelling);
  return migrations.length > 0 ? { action: "cancel", migrations } : { action: "close" };
}

/** Of stage two, phases of a source in which the guest stands still but was not handed over. */
const NOT_HANDED_OVER: readonly PhaseName[] = ["pausing", "sendingRest"];

/**
 * The stage of that phase for whoever wants to cancel. A guest may stand still for long while the
 * last of its pages are sent, and as long as it was not handed over that is no different from stage
 * one.
 */
export function stageForCancelling({ direction, phase, stage }: PhaseEvent): 1 | 2 | 3 | null {
  return direction === "outgoing" && NOT_HANDED_OVER.includes(phase) ? 1 : stage;
}

/** Whether the guest is between the two hosts. */
export function isMoving({ stage, arrived }: ActiveMigration): boolean {
  return stage !== null && stage > 1 && !arrived;
}

/** Whether the guest was to leave this host and has not been handed over. */
export function isStillHere({ direction, stage }: ActiveMigration): boolean {
  return direction === "outgoing" && (stage === null || stage === 1);
}
