import type { GuestStatus } from "../host/events.js";
import { isMoving, type ActiveMigration } from "./interrupt.js";

/** What becomes of each guest when this process ends; one sentence each. */
export function farewells(
  guests: readonly GuestStatus[],
  active: readonly ActiveMigration[],
): string[] {
  const abandoned = active.filter(isMoving);
  const moving = new Set(abandoned.map(({ guestId }) => guestId));
  const staying = guests.filter(({ guestId }) => !moving.has(guestId));
  return [...abandoned.map(lossOf), ...staying.map(fateOf)];
}

function lossOf({ guest, guestId, direction, stage }: ActiveMigration): string {
  const name = `guest ${guest} (${guestId})`;
  if (direction === "incoming") return `${name} was moving here and is lost with this process`;
  return stage === 2
    ? `${name} was being handed over: it is lost unless the destination already had it`
    : `${name} loses the pages that had not arrived: on the destination it stops at the first`;
}

function fateOf({ guest, guestId, state }: GuestStatus): string {
  return `guest ${guest} (${guestId}) ${FATES[state]}`;
}

const FATES: Readonly<Record<GuestStatus["state"], string>> = {
  booting: "ends with this process",
  running: "ends with this process",
  paused: "ends with this process",
  migrating: "ends with this process",
  crashed: "had crashed, and is gone with this process",
  arriving: "goes on running where it came from",
  inDoubt: "is lost with this process, unless the destination had taken it over",
  stranded: "is stranded between two hosts: the pages of it that are here are lost",
};
