import { MigrationError } from "../failure.js";
import type { GuestSpec } from "../guest/guest.js";
import { GuestRam } from "../memory/ram.js";
import { adviseHugePages } from "../platform/huge-pages.js";

/** Fresh memory for a guest, in huge pages where the system has them. Throws MEMORY_SHORT. */
export function allocateRam({ ramBytes, vcpuCount }: GuestSpec): GuestRam {
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
