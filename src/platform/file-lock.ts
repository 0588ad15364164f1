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
 * has taken it. Undefined where the system or the disk has no locks: nobody can tell.
 */
export function lockFile(fd: number): boolean | undefined {
  const library = libc();
  if (library === undefined) return undefined;
  const flock = library.handle.func("int flock(int, int)") as (fd: number, how: number) => number;
  if (flock(fd, LOCK_EX | LOCK_NB) === 0) return true;
  return NO_LOCKS.has(library.errno()) ? undefined : false;
}
