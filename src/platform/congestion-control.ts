import { libc } from "./libc.js";

/** Of Linux, the same numbers on every processor. */
const IPPROTO_TCP = 6;
const TCP_CONGESTION = 13;
/** The second is in every kernel. */
const BY_WINDOW = ["cubic", "reno"];

/**
 * Has TCP send on the descriptor by a window alone, where the system's own way, as BBR, also holds it to the bandwidth that it
 * measures. For a connection within the machine, where no router is to be spared: that takes a fifth of the
 * sender's processor time there (docs/adr/0028). Returns whether the kernel did so.
 */
export function sendByWindow(fd: number): boolean {
  const library = libc();
  if (library === undefined) return false;
  const setsockopt = library.handle.func(
    "int setsockopt(int, int, int, const char *, uint32_t)",
  ) as (fd: number, level: number, option: number, value: string, length: number) => number;
  return BY_WINDOW.some(
    (name) => setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, name.length) === 0,
  );
}
