import { writeSync } from "node:fs";
import type net from "node:net";

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

/**
 * The same by a socket that has descriptor `fd`, if it has one. Takes nothing where bytes wait in the socket, which may not be overtaken, or where
 * it is closed and the descriptor may be another's by now. The rest is the caller's to write to the socket.
 */
export function writeByDescriptor(
  socket: net.Socket,
  fd: number | undefined,
  bytes: Uint8Array,
  byteCount = bytes.byteLength,
): number {
  const isFree = fd !== undefined && socket.writableLength === 0 && !socket.destroyed;
  return isFree ? writeNow(fd, bytes, byteCount) : 0;
}
