import { constants } from "node:os";
import { libc } from "./libc.js";

/** Of `flock`, the same numbers on every Linux. */
const LOCK_EX = 2;
const LOCK_NB = 4;

/** What a disk without locks says. */
const NO_LOCKS = new Set(
  (["ENOLCK", "ENOSYS", "EOPNOTSUPP", "EINVAL"] as const).map((name) => constants.errno[name]),
);

/**
 * Takes the open file for this process until `fd` is closed or the process ends, however it ends. False when another
 * has taken it. Where neither the system nor the disk has locks nobody can tell, and it is true.
 */
export function lockFile(fd: number): boolean {
  const library = libc();
  if (library === undefined) return true;
  const flock = library.handle.func("int flock(int, int)") as (fd: number, how: number) => number;
  return flock(fd, LOCK_EX | LOCK_NB) === 0 || NO_LOCKS.has(library.errno());
}
