/** Bytes of one page: the unit of tracking, of faults and of the wire. */
export const PAGE_BYTES = 4096;
export const PAGE_SHIFT = 12;

/** A WebAssembly memory has 64 KiB pages and 32-bit addresses, so guests come in this grain and size. */
export const RAM_GRAIN_BYTES = 64 * 1024;
export const MAX_RAM_BYTES = 4 * 2 ** 30;
export const MIN_RAM_BYTES = RAM_GRAIN_BYTES;

/** One thread per vCPU; more than eight would only queue for the cores of the machines we aim at. */
export const MAX_VCPUS = 8;

/** Consecutive pages. */
export interface PageRange {
  readonly firstPage: number;
  readonly pageCount: number;
}

/** Whether guest memory of this size can exist: whole 64 KiB units, at most 4 GiB. */
export function isRamSize(ramBytes: number): boolean {
  return (
    Number.isSafeInteger(ramBytes) &&
    ramBytes >= MIN_RAM_BYTES &&
    ramBytes <= MAX_RAM_BYTES &&
    ramBytes % RAM_GRAIN_BYTES === 0
  );
}

export function pageCountOf(ramBytes: number): number {
  // Without the `| 0` V8 would keep the count of 2 GiB and more as a double, and compile every loop over pages twice.
  return (ramBytes / PAGE_BYTES) | 0;
}

export function everyPage(ramBytes: number): PageRange {
  return { firstPage: 0, pageCount: pageCountOf(ramBytes) };
}
