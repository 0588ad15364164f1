import { MigrationError } from "../failure.js";
import type { GuestSpec } from "../guest/guest.js";
import { GuestRam } from "../memory/ram.js";
import { adviseHugePages } from "../platform/huge-pages.js";

/**
 * Throws MEMORY_SHORT where this machine has not that much to give now. Of what it has, `promisedBytes` are others': memory is
 * taken when it is first written, so guests on their way here have not taken all of theirs.
 */
export function assertMemory(wantedBytes: number, promisedBytes: number): void {
  const availableBytes = Math.max(0, process.availableMemory() - promisedBytes);
  if (availableBytes >= wantedBytes) return;
  throw new MigrationError({ code: "MEMORY_SHORT", wantedBytes, availableBytes });
}

/**
 * Memory for a guest whose geometry was checked, in huge pages where the system has them. Throws MEMORY_SHORT where
 * the machine refuses it after all.
 */
export function allocate({ ramBytes, vcpuCount }: GuestSpec): GuestRam {
  try {
    const ram = GuestRam.allocate(ramBytes, vcpuCount);
    adviseHugePages(ram.buffer);
    return ram;
  } catch (cause) {
    const availableBytes = process.availableMemory();
    const failure = { code: "MEMORY_SHORT", wantedBytes: ramBytes, availableBytes } as const;
    throw new MigrationError(failure, { cause });
  }
}
