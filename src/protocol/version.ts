/**
 * The protocol's version: raised with every change that an older release would misunderstand. A host
 * accepts the current and the previous one; there is no previous one yet.
 */
export const PROTOCOL_VERSION = 1;
export const OLDEST_VERSION = 1;

export function isVersionSupported(version: number): boolean {
  return version >= OLDEST_VERSION && version <= PROTOCOL_VERSION;
}
