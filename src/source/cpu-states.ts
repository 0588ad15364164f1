import { MigrationError } from "../failure.js";
import { packCpu, unpackCpu } from "../protocol/codec.js";
import { MAX_CPU_STATE_BYTES } from "../protocol/limits.js";
import { formatBytes } from "../units.js";

/**
 * CPU states as they travel in `switchover`. A program may put anything into them, so what cannot be packed, or what the
 * destination would refuse, is found here, while the guest can still stay. Throws CPU_STATE_REFUSED.
 */
export function packStates(guest: string, cpus: readonly object[]): Uint8Array<ArrayBuffer>[] {
  return cpus.map((cpu) => {
    const bytes = pack(guest, cpu);
    if (bytes.byteLength > MAX_CPU_STATE_BYTES) {
      const size = formatBytes(bytes.byteLength);
      throw refused(guest, `has ${size}, and ${formatBytes(MAX_CPU_STATE_BYTES)} may be sent`);
    }
    try {
      unpackCpu(bytes);
    } catch (error) {
      if (!(error instanceof MigrationError)) throw error;
      throw refused(guest, "is no plain data");
    }
    return bytes;
  });
}

/** msgpackr throws whatever it stumbles over: a cycle is a stack that is too deep. */
function pack(guest: string, cpu: object): Uint8Array<ArrayBuffer> {
  try {
    return packCpu(cpu);
  } catch (error) {
    throw refused(
      guest,
      `cannot be packed (${error instanceof Error ? error.message : String(error)})`,
    );
  }
}

function refused(guest: string, detail: string): MigrationError {
  return new MigrationError({ code: "CPU_STATE_REFUSED", guest, detail });
}
