import { getPriority } from "node:os";
import { arch } from "node:process";
import { libc } from "./libc.js";

/** The least that Linux takes, in nanoseconds; one to three milliseconds are usual. */
const SLICE_NS = 100_000n;
/** The number of `sched_setattr`, which few C libraries have a word for. */
const SCHED_SETATTR: Readonly<Record<string, number>> = { x64: 314, arm64: 274, riscv64: 274 };
/** `struct sched_attr` in its first form, and where in it stands what is not zero. */
const ATTR = { BYTES: 48, SIZE: 0, FLAGS: 8, NICE: 16, RUNTIME: 24 } as const;
const SCHED_FLAG_KEEP_POLICY = 0x08n;

/**
 * Has Linux (from 6.12 on) give cores to the calling thread, and to those that it starts from now on, in slices of a tenth of a
 * millisecond: as much of them as before, but in smaller pieces, so that a thread which wakes waits less for
 * those that are at work (docs/adr/0029). An older kernel takes the wish and does nothing about it. Returns whether it was taken.
 */
export function runInShortSlices(): boolean {
  const number = SCHED_SETATTR[arch];
  const library = libc();
  if (library === undefined || number === undefined) return false;
  const attr = Buffer.alloc(ATTR.BYTES);
  attr.writeUInt32LE(ATTR.BYTES, ATTR.SIZE);
  attr.writeBigUInt64LE(SCHED_FLAG_KEEP_POLICY, ATTR.FLAGS);
  attr.writeInt32LE(getPriority(), ATTR.NICE);
  attr.writeBigUInt64LE(SLICE_NS, ATTR.RUNTIME);
  const syscall = library.handle.func("long syscall(long, int, const uint8_t *, unsigned int)") as (
    number: number,
    thread: number,
    attr: Buffer,
    flags: number,
  ) => number;
  return syscall(number, 0, attr, 0) === 0;
}
