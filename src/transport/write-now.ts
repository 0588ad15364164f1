import { writeSync } from "node:fs";

/**
 * Writes the first `byteCount` bytes to the connection on descriptor `fd`, as far as its queue takes them; returns how many it
 * took. `bytes` is the caller's again afterwards. One that is broken takes everything: that it broke is heard of otherwise.
 *
 * A stream takes a request, a callback and a place in a queue for each write, which are garbage right after, and a thread that
 * answers faults stands still while garbage is collected.
 */
export function writeNow(fd: number, bytes: Uint8Array, byteCount = bytes.byteLength): number {
  try {
    return writeSync(fd, bytes, 0, byteCount);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EAGAIN" ? 0 : byteCount;
  }
}
