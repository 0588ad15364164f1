import { MigrationError } from "../failure.js";
import type { GuestSpec } from "../guest/guest.js";
import { GuestRam } from "../memory/ram.js";
import { adviseHugePages } from "../platform/huge-pages.js";

/** Throws MEMORY_SHORT where this machine has not that much to give now. */
export function assertMemory(wantedBytes: number): void {
  const availableBytes = process.availableMemory();
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
