import type net from "node:net";

/** Destroys a socket that is not closed by then, however much still comes on it: an idle timer would begin anew with each byte. */
export function destroyWithin(socket: net.Socket, ms: number): void {
  if (socket.closed) return;
  const timer = setTimeout(() => socket.destroy(), ms);
  // Nothing is lost when the process ends before.
  timer.unref();
  socket.once("close", () => {
    clearTimeout(timer);
  });
}
