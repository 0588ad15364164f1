import { libc } from "./libc.js";

/** Of Linux, the same numbers on every processor. */
const IPPROTO_TCP = 6;
const TCP_CONGESTION = 13;
/** Ways of TCP that send as soon as they may. The second is in every kernel. */
const UNPACED = ["cubic", "reno"];

/**
 * Has TCP send on the descriptor as soon as it may, where the system's own way, as BBR, spreads what it sends over time. For a
 * connection within the machine, which no router has to be spared: the timers of that take a quarter of the sender's
 * processor time there (docs/adr/0028). Returns whether the kernel did so.
 */
export function sendUnpaced(fd: number): boolean {
  const library = libc();
  if (library === undefined) return false;
  const setsockopt = library.handle.func(
    "int setsockopt(int, int, int, const char *, uint32_t)",
  ) as (fd: number, level: number, option: number, value: string, length: number) => number;
  return UNPACED.some(
    (name) => setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, name.length) === 0,
  );
}
