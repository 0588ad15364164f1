import { describe, type Failure } from "../failure.js";
import { type ErrorEvent, type Told, told } from "../host/events.js";

/** A failure that belongs to no migration, as presenters show it. What a host said keeps its own code. */
export function errorEvent(failure: Failure): Told<ErrorEvent> {
  const { code, text } =
    failure.code === "PEER_FAILED"
      ? { code: failure.peerCode, text: failure.text }
      : { code: failure.code, text: describe(failure) };
  return told({ event: "error", code, text, migrationId: null });
}
