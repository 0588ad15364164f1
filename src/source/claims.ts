import { MigrationError } from "../failure.js";
import { isVersionSupported, PROTOCOL_VERSION } from "../protocol/version.js";

/** What the destination says of itself in `welcome`. Throws VERSION_UNSUPPORTED. */
export function assertVersion(theirs: number): void {
  if (isVersionSupported(theirs)) return;
  throw new MigrationError({ code: "VERSION_UNSUPPORTED", theirs, ours: PROTOCOL_VERSION });
}

/** Which generation the destination says that it runs. Throws MESSAGE_MALFORMED. */
export function assertGeneration(theirs: number, ours: number): void {
  if (theirs === ours) return;
  const detail = `it is about generation ${String(theirs)}, not ${String(ours)}`;
  throw new MigrationError({ code: "MESSAGE_MALFORMED", message: "running", detail });
}
