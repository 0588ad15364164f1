import { readFileSync } from "node:fs";

/** The page kernels (see kernels/page.ts), bound to one guest memory. Addresses are bytes. */
export interface PageKernel {
  /** The lower half of the page's 64-bit checksum, as a signed word. */
  checksumPage(address: number): number;
  /** The upper half of the checksum that `checksumPage` computed last. */
  checksumHigh(): number;
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

/** Pages enough for the compiler to take the kernels seriously. */
const REHEARSAL_PAGES = 256;

/**
 * Runs the kernels on memory of nobody. V8 compiles WebAssembly well only once it has run a while; it does so once
 * a process, for all threads.
 */
export function rehearseKernel(): void {
  const kernel = createPageKernel(new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true }));
  for (let page = 0; page < REHEARSAL_PAGES; page += 1) {
    kernel.checksumPage(0);
    kernel.checksumHigh();
    kernel.isZeroPage(0);
  }
}
