import { readFileSync } from "node:fs";

/** The page kernels (see kernels/page.ts), bound to one guest memory. Addresses are bytes. */
export interface PageKernel {
  /** The lower half of the page's 64-bit checksum, as a signed word. */
  checksumPage(address: number): number;
  /** The upper half of the checksum that `checksumPage` computed last. */
  checksumHigh(): number;
  /** The sum of block `index` (0 to 7) of that page, as a signed word: one that differs tells that the block has changed. */
  blockSum(index: number): number;
  /** 1 when every byte of the page is zero, else 0. */
  isZeroPage(address: number): number;
}

let compiled: WebAssembly.Module | undefined;

/** Compiles once per thread; `memory` is the shared memory of a guest. */
export function createPageKernel(memory: WebAssembly.Memory): PageKernel {
  compiled ??= new WebAssembly.Module(readFileSync(new URL("page-kernel.wasm", import.meta.url)));
  const { exports } = new WebAssembly.Instance(compiled, { env: { memory } });
  return exports as unknown as PageKernel;
}
