import type net from "node:net";
import { MigrationError } from "../failure.js";
import { descriptorOf, handleOf } from "./descriptor.js";

/**
 * Gives an accepted connection to a thread of this process, to open a socket on it or to write to it as it is
 * (fault-lines.ts).
 *
 * Node.js cannot move a socket between threads, and a thread that accepts its own connections would need
 * a port of its own. But a descriptor belongs to the process: the thread opens a `net.Socket` on its
 * number (documented), and we leave our handle idle for good. It is never closed, since that would close
 * the number under the thread, or under whoever has it next; an idle handle costs some hundred bytes and
 * keeps nothing alive.
 *
 * Call it between frames, with nothing unread. Throws UNSUPPORTED_NODE where the field is missing.
 */
export function handOver(socket: net.Socket): number {
  const handle = handleOf(socket);
  const fd = descriptorOf(socket);
  if (fd === undefined) {
    const detail = "an accepted socket shows no descriptor";
    throw new MigrationError({ code: "UNSUPPORTED_NODE", detail });
  }
  socket.pause();
  handle?.readStop?.();
  socket.removeAllListeners();
  (socket as unknown as { _handle: null })._handle = null;
  idle.push(handle);
  // Ends the JavaScript side: its server no longer counts it as open.
  socket.destroy();
  return fd;
}

/** Kept so that nothing ever collects, and so closes, a handle whose number was given away. */
const idle: unknown[] = [];
