import { adviseHugePages } from "../../src/platform/huge-pages.js";

const UNIT_BYTES = 65_536;

/** Fresh memory as a guest's is: a WebAssembly memory of whole 64 KiB units, in huge pages if asked for. */
export function sharedMemory(byteCount: number, huge: boolean): WebAssembly.Memory {
  const units = byteCount / UNIT_BYTES;
  const memory = new WebAssembly.Memory({ initial: units, maximum: units, shared: true });
  if (huge) adviseHugePages(bufferOf(memory));
  return memory;
}

/** Of a memory that is shared. */
export function bufferOf(memory: WebAssembly.Memory): SharedArrayBuffer {
  return memory.buffer as unknown as SharedArrayBuffer;
}
