import type net from "node:net";
import { PAGE_BYTES } from "../memory/geometry.js";
import { createPageKernel, type PageKernel } from "../memory/kernel.js";
import type { GuestRam } from "../memory/ram.js";
import { NEVER } from "../memory/words.js";
import { nextSequence } from "../protocol/frame.js";
import {
  encodeWords,
  FRAME_TYPES,
  PageTable,
  PURPOSE,
  type Purpose,
  RUN_KIND,
} from "../protocol/pages.js";
import { descriptorOf } from "../transport/descriptor.js";
import { writeNow } from "../transport/write-now.js";
import type { MigrationTables, SourceCounter } from "./migration-tables.js";

/**
 * Bytes that may wait in this process for the socket: enough that the link never idles while the next
 * chunk is marked and scanned, little enough that pages are read shortly before they leave.
 */
const MAX_WAITING_BYTES = 3 * 2 ** 20;

/** A frame of so few bytes, two pages and their table, is sooner copied into one piece than handed to the socket in several. */
const MOST_COPIED_BYTES = 2 * PAGE_BYTES + 256;

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
  /** Of all frames so far. */
  sentBytes = 0;
  private zeroPages = 0;
  private waitingBytes = 0;
  private wake: (() => void) | undefined;
  private readonly memory: Buffer;
  /** A small frame in one piece, again and again. */
  private readonly copy = new Uint8Array(MOST_COPIED_BYTES);
  private readonly copyView = new DataView(this.copy.buffer);
  private readonly fd: number | undefined;

  constructor(
    private readonly ram: GuestRam,
    private readonly tables: MigrationTables,
    private readonly socket: net.Socket,
    private readonly byteCounter: "bulkBytes" | "urgentBytes",
    private sequence: number,
    private readonly checksums: boolean,
  ) {
    this.kernel = createPageKernel(ram.handle.memory);
    this.memory = Buffer.from(ram.buffer);
    this.fd = descriptorOf(socket);
  }

  /** Resolves when the socket wants more: pages are best read right before they leave. */
  async ready(): Promise<void> {
    while (this.waitingBytes >= MAX_WAITING_BYTES) {
      await new Promise<void>((resolve) => (this.wake = resolve));
    }
  }

  /** Whether bytes wait for the socket to take them. */
  get isWaiting(): boolean {
    return this.waitingBytes > 0;
  }

  /** Whether another page may be added before `flush`. */
  get hasRoom(): boolean {
    return this.table.hasRoom;
  }

  /** Pages of the frame under way whose contents it will carry. */
  get dataPages(): number {
    return this.table.dataPages;
  }

  /** Pages of the frame under way. */
  get pageCount(): number {
    return this.zeroPages + this.table.dataPages + this.table.unchangedPages;
  }

  /**
   * Adds a page to the frame: as zero, as unchanged since it was last sent (where `mayBeUnchanged`), or
   * with its contents.
   */
  add(page: number, mayBeUnchanged: boolean): void {
    const { checksums: sent, sends, resend } = this.tables;
    const address = page * PAGE_BYTES;
    if (this.ram.stamps[page] === NEVER || this.kernel.isZeroPage(address) === 1) {
      this.table.add(page, RUN_KIND.ZERO);
      // What the destination holds now is no longer what the checksum was of.
      sent[page * 2] = 0;
      sent[page * 2 + 1] = 0;
      this.zeroPages += 1;
      return;
    }
    const low = this.checksums ? this.kernel.checksumPage(address) : 0;
    const high = this.checksums ? this.kernel.checksumHigh() : 0;
    const isUnchanged =
      mayBeUnchanged &&
      sends[page] !== 0 &&
      (low !== 0 || high !== 0) &&
      sent[page * 2] === low &&
      sent[page * 2 + 1] === high &&
      !resend.has(page);
    if (isUnchanged) {
      this.table.add(page, RUN_KIND.UNCHANGED, low, high);
      return;
    }
    sent[page * 2] = low;
    sent[page * 2 + 1] = high;
    sends[page] = (sends[page] ?? 0) + 1;
    this.table.add(page, RUN_KIND.DATA, low, high);
  }

  /** Writes the frame, if it has any page; returns its bytes. */
  flush(purpose: Purpose, pass: number): number {
    const { table } = this;
    if (table.isEmpty) return 0;
    const frameBytes = table.frontBytes + table.dataPages * PAGE_BYTES;
    // Before it leaves: the destination may speak of these pages at once.
    this.count(purpose, frameBytes);
    this.sentBytes += frameBytes;
    if (frameBytes <= MOST_COPIED_BYTES) this.writeCopy(frameBytes, purpose, pass);
    else this.writeInPlace(frameBytes, table.bytes(purpose, pass, this.nextSequence()));
    table.reset();
    this.zeroPages = 0;
    return frameBytes;
  }

  /** A page that a guest waits for: nothing is left behind for it but the page. */
  private writeCopy(frameBytes: number, purpose: Purpose, pass: number): void {
    const { table, socket, copy, fd } = this;
    table.writeTo(this.copyView, purpose, pass, this.nextSequence());
    let at = table.frontBytes;
    for (const contents of this.contents()) {
      copy.set(contents, at);
      at += contents.byteLength;
    }
    // Nothing may overtake what waits in the socket; and the number of one that is closed may be another's by now.
    const isFree = socket.writableLength === 0 && !socket.destroyed;
    const written = isFree && fd !== undefined ? writeNow(fd, copy, frameBytes) : 0;
    if (written < frameBytes) this.write(copy.slice(written, frameBytes));
  }

  private write(bytes: Uint8Array): void {
    this.waitingBytes += bytes.byteLength;
    this.socket.write(bytes, () => {
      this.left(bytes.byteLength);
    });
  }

  private writeInPlace(frameBytes: number, front: Uint8Array): void {
    const { socket } = this;
    this.waitingBytes += frameBytes;
    socket.cork();
    socket.write(front);
    for (const contents of this.contents()) socket.write(contents);
    socket.uncork();
    // An empty write ends behind the others, so its callback says that all of them have left.
    socket.write("", () => {
      this.left(frameBytes);
    });
  }

  /** Views of guest memory: the contents of the frame, in order. */
  private contents(): readonly Uint8Array[] {
    const { table, memory } = this;
    const views: Uint8Array[] = [];
    for (let run = 0; run < table.runCount; run += 1) {
      if (table.kindOf(run) !== RUN_KIND.DATA) continue;
      const start = table.firstPageOf(run) * PAGE_BYTES;
      views.push(memory.subarray(start, start + table.pageCountOf(run) * PAGE_BYTES));
    }
    return views;
  }

  /** Ends a pass on this connection: nothing sent later overtakes what was sent before. */
  barrier(pass: number): void {
    this.socket.write(encodeWords(FRAME_TYPES.BARRIER, this.nextSequence(), [pass]));
  }

  private count(purpose: Purpose, frameBytes: number): void {
    const { counters } = this.tables;
    const { dataPages, unchangedPages } = this.table;
    counters.add(purpose === PURPOSE.PASS ? "stageOnePages" : "stageThreePages", dataPages);
    const counter = PURPOSE_COUNTER[purpose];
    if (counter !== null) counters.add(counter, dataPages);
    if (purpose === PURPOSE.PREPULL) counters.add("prepulledOfAnyKind", this.pageCount);
    if (this.zeroPages > 0) counters.add("zeroPages", this.zeroPages);
    if (unchangedPages > 0) counters.add("unchangedPages", unchangedPages);
    counters.add(this.byteCounter, frameBytes);
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
