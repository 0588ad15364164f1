import { readFileSync } from "node:fs";

/** The page kernels (see kernels/page.ts), bound to one guest memory. Addresses are bytes. */
export interface PageKernel {
  /** The lower half of the page's 64-bit checksum, as a signed word. */
  checksumPage(address: number): number;
  /** The upper half of the checksum that `checksumPage` computed last. */
  checksumHigh(): number;
  /**
   * The sums of blocks `2 * pair` and `2 * pair + 1` of that page, `pair` from 0 to 7, as the bits of a double: one that differs tells that the
   * block has changed.
   */
  blockSums(pair: number): number;
  /** How many pages from `address` on are zero, of `most`, until the first that is not. */
  zeroPages(address: number, most: number): number;
}

/** The table kernels (see kernels/table.ts), bound to the tables of one guest. Addresses are bytes; pages come by the 16. */
export interface TableKernel {
  /** Adds to the bits at `set` the pages whose word at `stamps` is not below that at `marks`. */
  addWritten(stamps: number, marks: number, set: number, pageCount: number): void;
  /** Writes `value` to the word at `table` of each page that has a bit at `set`. */
  setWords(table: number, set: number, pageCount: number, value: number): void;
}

/** Of each file, compiled once per thread. */
const compiled = new Map<string, WebAssembly.Module>();

/** `memory` is the shared memory of a guest. */
export function createPageKernel(memory: WebAssembly.Memory): PageKernel {
  return instantiate("page-kernel.wasm", memory) as unknown as PageKernel;
}

/** `tables` are those of a guest. */
export function createTableKernel(tables: WebAssembly.Memory): TableKernel {
  return instantiate("table-kernel.wasm", tables) as unknown as TableKernel;
}

function instantiate(file: string, memory: WebAssembly.Memory): Record<string, unknown> {
  let module = compiled.get(file);
  if (module === undefined) {
    module = new WebAssembly.Module(readFileSync(new URL(file, import.meta.url)));
    compiled.set(file, module);
  }
  return new WebAssembly.Instance(module, { env: { memory } }).exports;
}
