import type net from "node:net";
import { PAGE_BYTES } from "../memory/geometry.js";
import { createPageKernel, type PageKernel } from "../memory/kernel.js";
import type { GuestRam } from "../memory/ram.js";
import { nextSequence } from "../protocol/frame.js";
import {
  encodeWords,
  FRAME_TYPES,
  PageTable,
  PURPOSE,
  type Purpose,
  RUN_KIND,
} from "../protocol/pages.js";
import type { MigrationTables, SourceCounter } from "./migration-tables.js";
import type { RateLimit } from "./rate-limit.js";

/**
 * Bytes that may wait in this process for the socket: enough that the link never idles while the next
 * chunk is marked and scanned, little enough that pages are read shortly before they leave.
 */
const MAX_WAITING_BYTES = 3 * 2 ** 20;

const PURPOSE_COUNTER: Readonly<Record<Purpose, SourceCounter | null>> = {
  [PURPOSE.PASS]: null,
  [PURPOSE.PUSH]: "pushedPages",
  [PURPOSE.PREPULL]: "prepulledPages",
  [PURPOSE.PULL]: "pulledPages",
};

/**
 * Puts pages into frames and writes them to one connection, straight from guest memory: `add` page after
 * page, then `flush`. Belongs to one thread.
 */
export class PageSender {
  private readonly kernel: PageKernel;
  private readonly table = new PageTable();
  private waitingBytes = 0;
  private wake: (() => void) | undefined;

  constructor(
    private readonly ram: GuestRam,
    private readonly tables: MigrationTables,
    private readonly socket: net.Socket,
    private readonly limit: RateLimit,
    private readonly byteCounter: "bulkBytes" | "urgentBytes",
    private sequence: number,
  ) {
    this.kernel = createPageKernel(ram.handle.memory);
  }

  /** Resolves when the next frame may be made: pages are best read right before they leave. */
  async ready(): Promise<void> {
    await this.limit.ready();
    while (this.waitingBytes >= MAX_WAITING_BYTES) {
      await new Promise<void>((resolve) => (this.wake = resolve));
    }
  }

  /** Whether another page may be added before `flush`. */
  get hasRoom(): boolean {
    return this.table.hasRoom;
  }

  /** Bytes that the frame under way will have, about. */
  get pendingBytes(): number {
    return this.table.dataPages * PAGE_BYTES;
  }

  /**
   * Adds a page to the frame: as zero, as unchanged since it was last sent (where `mayBeUnchanged`), or
   * with its contents.
   */
  add(page: number, mayBeUnchanged: boolean): void {
    const { counters, checksums, sends, torn } = this.tables;
    const address = page * PAGE_BYTES;
    if (this.kernel.isZeroPage(address) === 1) {
      this.table.add(page, RUN_KIND.ZERO);
      counters.add("zeroPages", 1);
      return;
    }
    const low = this.kernel.checksumPage(address);
    const high = this.kernel.checksumHigh();
    const isUnchanged =
      mayBeUnchanged &&
      sends[page] !== 0 &&
      checksums[page * 2] === low &&
      checksums[page * 2 + 1] === high &&
      !torn.has(page);
    if (isUnchanged) {
      this.table.add(page, RUN_KIND.UNCHANGED, low, high);
      counters.add("unchangedPages", 1);
      return;
    }
    checksums[page * 2] = low;
    checksums[page * 2 + 1] = high;
    sends[page] = (sends[page] ?? 0) + 1;
    this.table.add(page, RUN_KIND.DATA, low, high);
  }

  /** Writes the frame, if it has any page; returns its bytes. */
  flush(purpose: Purpose, pass: number): number {
    const { table, socket } = this;
    if (table.isEmpty) return 0;
    const front = table.bytes(purpose, pass, this.nextSequence());
    const frameBytes = front.byteLength + table.dataPages * PAGE_BYTES;
    this.waitingBytes += frameBytes;
    socket.cork();
    socket.write(front);
    for (const { firstPage, pageCount, kind } of table.pageRuns()) {
      if (kind !== RUN_KIND.DATA) continue;
      const { buffer } = this.ram;
      socket.write(Buffer.from(buffer, firstPage * PAGE_BYTES, pageCount * PAGE_BYTES));
    }
    socket.uncork();
    // An empty write ends behind the others, so its callback says that all of them have left.
    socket.write("", () => {
      this.left(frameBytes);
    });
    this.count(purpose, frameBytes);
    table.reset();
    return frameBytes;
  }

  /** Ends a pass on this connection: nothing sent later overtakes what was sent before. */
  barrier(pass: number): void {
    this.socket.write(encodeWords(FRAME_TYPES.BARRIER, this.nextSequence(), [pass]));
  }

  private count(purpose: Purpose, frameBytes: number): void {
    const { counters } = this.tables;
    const { dataPages } = this.table;
    counters.add(purpose === PURPOSE.PASS ? "stageOnePages" : "stageThreePages", dataPages);
    const counter = PURPOSE_COUNTER[purpose];
    if (counter !== null) counters.add(counter, dataPages);
    counters.add(this.byteCounter, frameBytes);
    this.limit.charge(frameBytes);
  }

  private left(frameBytes: number): void {
    this.waitingBytes -= frameBytes;
    this.wake?.();
    this.wake = undefined;
  }

  private nextSequence(): number {
    const { sequence } = this;
    this.sequence = nextSequence(sequence);
    return sequence;
  }
}
