import type net from "node:net";

/** What Node.js keeps behind a socket, as far as we need it. It is not documented; it is read here and nowhere else. */
interface Handle {
  readonly fd?: number;
  readStop?(): unknown;
}

/** The handle of a socket; null for one that is closed. */
export function handleOf(socket: net.Socket): Handle | null {
  return (socket as unknown as { readonly _handle: Handle | null })._handle;
}

/** The number of the socket's descriptor in this process; undefined where it shows none. */
export function descriptorOf(socket: net.Socket): number | undefined {
  const fd = handleOf(socket)?.fd;
  return typeof fd === "number" && fd >= 0 ? fd : undefined;
}
