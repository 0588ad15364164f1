import { adviseHugePages } from "../../src/platform/huge-pages.js";

const UNIT_BYTES = 65_536;

/** Fresh memory as a guest's is: a WebAssembly memory of whole 64 KiB units, in huge pages if asked for. */
export function sharedBuffer(byteCount: number, huge: boolean): SharedArrayBuffer {
  const units = byteCount / UNIT_BYTES;
  const memory = new WebAssembly.Memory({ initial: units, maximum: units, shared: true });
  const buffer = memory.buffer as unknown as SharedArrayBuffer;
  if (huge) adviseHugePages(buffer);
  return buffer;
}
