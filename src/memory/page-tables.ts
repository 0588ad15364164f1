import type { PageBitmap } from "./bitmap.js";
import { createTableKernel, type TableKernel } from "./kernel.js";
import type { GuestRam } from "./ram.js";

/**
 * Goes over tables of a guest as a whole, in WebAssembly, which takes a tenth of what a loop in JavaScript does: it happens
 * while the guest stands still (docs/adr/0032). For the host's main thread alone, since a guest has one slate.
 */
export class PageTables {
  private readonly kernel: TableKernel;

  constructor(private readonly ram: GuestRam) {
    this.kernel = createTableKernel(ram.handle.tables);
  }

  /**
   * Adds to `out` the pages whose stamp is not older than their entry in `marks`. While the guest runs a stamp that is read
   * may be older than what is written, but it is never half of one: stamps lie aligned, and processors load no less than
   * such a word at once, also as part of a vector.
   */
  addWritten(marks: Int32Array, out: PageBitmap): void {
    const { stamps, slate, pageCount } = this.ram;
    slate.words.set(marks);
    slate.bits.set(out.words);
    const { words, bits } = slate;
    this.kernel.addWritten(stamps.byteOffset, words.byteOffset, bits.byteOffset, pageCount);
    out.words.set(bits);
  }

  /** Gives each of `pages` that stamp. No vCPU runs meanwhile. */
  stamp(pages: PageBitmap, stamp: number): void {
    const { stamps, slate, pageCount } = this.ram;
    slate.bits.set(pages.words);
    this.kernel.setWords(stamps.byteOffset, slate.bits.byteOffset, pageCount, stamp);
  }
}
