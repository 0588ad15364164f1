import type net from "node:net";
import { PAGE_BYTES } from "../memory/geometry.js";
import { createPageKernel, type PageKernel } from "../memory/kernel.js";
import type { GuestRam } from "../memory/ram.js";
import { NEVER } from "../memory/words.js";
import { countBlocks } from "../protocol/deltas.js";
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
import { writeByDescriptor } from "../transport/write-now.js";
import { BlockSums } from "./block-sums.js";
import { DeltaFrame, MOST_BLOCKS } from "./delta-frame.js";
import type { MigrationTables, SourceCounter } from "./migration-tables.js";
import type { Tuning } from "./tuning.js";

/**
 * Chunks that may wait in this process for the socket: enough that the link never idles while the next
 * one is marked and scanned, little enough that pages are read shortly before they leave.
 */
const MAX_WAITING_CHUNKS = 3;

/** A frame of pages with so few bytes, two pages and their table, is sooner copied into one piece than handed to the socket in several. */
const MOST_COPIED_BYTES = 2 * PAGE_BYTES + 256;

const PURPOSE_COUNTER: Readonly<Record<Purpose, SourceCounter | null>> = {
  [PURPOSE.PASS]: null,
  [PURPOSE.PUSH]: "pushedPages",
  [PURPOSE.PREPULL]: "prepulledPages",
  [PURPOSE.PULL]: "pulledPages",
};

/**
 * Puts pages into frames and writes them to one connection, straight from guest memory: `add` page after
 * page, then `flush`, in stage three until it returns 0. Belongs to one thread.
 */
export class PageSender {
  private readonly kernel: PageKernel;
  private readonly table = new PageTable();
  private readonly deltas: DeltaFrame;
  private readonly blockSums: BlockSums;
  /** Of all frames so far. */
  sentBytes = 0;
  private zeroPages = 0;
  private waitingBytes = 0;
  private readonly mostWaitingBytes: number;
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
    private readonly tuning: Pick<Tuning, "checksums" | "unchanged" | "delta" | "chunkPages">,
  ) {
    this.kernel = createPageKernel(ram.handle.memory);
    this.blockSums = new BlockSums(this.kernel, tables.blockSums);
    this.memory = Buffer.from(ram.buffer);
    this.deltas = new DeltaFrame(this.memory);
    this.mostWaitingBytes = MAX_WAITING_CHUNKS * tuning.chunkPages * PAGE_BYTES;
    this.fd = descriptorOf(socket);
  }

  /** Resolves when the socket wants more: pages are best read right before they leave. */
  async ready(): Promise<void> {
    while (this.waitingBytes >= this.mostWaitingBytes) {
      await new Promise<void>((resolve) => (this.wake = resolve));
    }
  }

  /** Whether bytes wait for the socket to take them. */
  get isWaiting(): boolean {
    return this.waitingBytes > 0;
  }

  /** Whether another page may be added before `flush`. */
  get hasRoom(): boolean {
    return this.table.hasRoom && this.deltas.hasRoom;
  }

  /** Pages of the frame under way whose contents it will carry. */
  get dataPages(): number {
    return this.table.dataPages;
  }

  /** Contents that were added since the last frame left. */
  get contentBytes(): number {
    return this.table.dataPages * PAGE_BYTES + this.deltas.contentBytes;
  }

  /**
   * Adds the pages from `firstPage` on to before `endPage`, as they are and none twice in a pass, until a frame is full; returns the
   * first that was not added. Of those that the guest has written since the epoch `deltasSince` it is noted what their blocks are. Zero
   * pages go by the run: of most guests that is what most of their memory is.
   */
  addRun(firstPage: number, endPage: number, deltasSince: number): number {
    const { stamps } = this.ram;
    let page = firstPage;
    while (page < endPage && this.hasRoom) {
      const zeroes = this.zeroesFrom(page, endPage);
      if (zeroes > 0) this.addZeroes(page, zeroes);
      else this.addContents(page, false, (stamps[page] ?? NEVER) >= deltasSince);
      page += Math.max(1, zeroes);
    }
    return page;
  }

  /**
   * Adds a page: as zero, as unchanged since it was last sent or by what has changed since (where the destination `mayHave`
   * that), or with its contents.
   */
  add(page: number, mayHave: boolean): void {
    if (this.zeroesFrom(page, page + 1) > 0) this.addZeroes(page, 1);
    else this.addContents(page, mayHave, !mayHave);
  }

  /** How many pages from `firstPage` on are zero, to before `endPage`; of those that were never written no byte is read. */
  private zeroesFrom(firstPage: number, endPage: number): number {
    const { stamps } = this.ram;
    let page = firstPage;
    while (page < endPage && stamps[page] === NEVER) page += 1;
    if (page > firstPage) return page - firstPage;
    return this.kernel.zeroPages(firstPage * PAGE_BYTES, endPage - firstPage);
  }

  private addZeroes(firstPage: number, pageCount: number): void {
    this.table.addZeroes(firstPage, pageCount);
    // What the destination holds now is no longer what the checksums were of.
    this.tables.checksums.fill(0, firstPage * 2, (firstPage + pageCount) * 2);
    this.zeroPages += pageCount;
  }

  private addContents(page: number, mayHave: boolean, notesBlocks: boolean): void {
    const { tables, kernel, tuning } = this;
    const { checksums: sent, sends } = tables;
    const address = page * PAGE_BYTES;
    const low = tuning.checksums ? kernel.checksumPage(address) : 0;
    const high = tuning.checksums ? kernel.checksumHigh() : 0;
    const sentLow = sent[page * 2] ?? 0;
    const sentHigh = sent[page * 2 + 1] ?? 0;
    const isThere =
      mayHave && sends[page] !== 0 && (sentLow !== 0 || sentHigh !== 0) && !tables.resend.has(page);
    if (isThere && tuning.unchanged && sentLow === low && sentHigh === high) {
      this.table.add(page, RUN_KIND.UNCHANGED, low, high);
      return;
    }
    sent[page * 2] = low;
    sent[page * 2 + 1] = high;
    sends[page] = (sends[page] ?? 0) + 1;
    const changed = isThere && tuning.delta ? this.blockSums.changed(page) : 0;
    if (changed !== 0 && countBlocks(changed) <= MOST_BLOCKS) {
      this.deltas.add(page, changed, low, high);
      return;
    }
    if (notesBlocks && tuning.delta) this.blockSums.note(page);
    this.table.add(page, RUN_KIND.DATA, low, high);
  }

  /** Writes a frame, if any page was added that has not left; returns its bytes. Deltas have frames of their own. */
  flush(purpose: Purpose, pass: number): number {
    if (!this.table.isEmpty) return this.flushPages(purpose, pass);
    if (this.deltas.pageCount > 0) return this.flushDeltas(purpose);
    return 0;
  }

  private flushPages(purpose: Purpose, pass: number): number {
    const { table } = this;
    const frameBytes = table.frontBytes + table.dataPages * PAGE_BYTES;
    const { dataPages, unchangedPages } = table;
    // Before it leaves: the destination may speak of these pages at once.
    this.count(purpose, this.zeroPages + dataPages + unchangedPages, frameBytes);
    this.countPages(purpose);
    if (frameBytes <= MOST_COPIED_BYTES) {
      table.writeTo(this.copyView, purpose, pass, this.nextSequence());
      this.copyContents(table.frontBytes);
      this.writeCopy(this.copy, frameBytes);
    } else this.writeInPlace(frameBytes, table.bytes(purpose, pass, this.nextSequence()));
    table.reset();
    this.zeroPages = 0;
    return frameBytes;
  }

  private flushDeltas(purpose: Purpose): number {
    const { deltas, tables } = this;
    const { pageCount, contentBytes } = deltas;
    const frame = deltas.take(purpose, this.nextSequence());
    this.count(purpose, pageCount, frame.byteLength);
    tables.counters.add("deltaPages", pageCount);
    tables.counters.add("deltaBytes", contentBytes);
    this.writeCopy(frame, frame.byteLength);
    return frame.byteLength;
  }

  /** Behind the front of a small frame, which is in `copy` already. */
  private copyContents(frontBytes: number): void {
    let at = frontBytes;
    for (const piece of this.contents()) {
      this.copy.set(piece, at);
      at += piece.byteLength;
    }
  }

  /** So that a page that a guest waits for leaves nothing behind but the page. `bytes` may change afterwards. */
  private writeCopy(bytes: Uint8Array, frameBytes: number): void {
    const { socket } = this;
    const written = writeByDescriptor(socket, this.fd, bytes, frameBytes);
    if (written === frameBytes) return;
    const rest = bytes.slice(written, frameBytes);
    this.waitingBytes += rest.byteLength;
    socket.write(rest, () => {
      this.left(rest.byteLength);
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

  /** Views of guest memory: the contents of the frame of pages, in order. */
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

  private count(purpose: Purpose, pageCount: number, frameBytes: number): void {
    const { counters } = this.tables;
    if (purpose === PURPOSE.PREPULL) counters.add("prepulledOfAnyKind", pageCount);
    counters.add(this.byteCounter, frameBytes);
    this.sentBytes += frameBytes;
  }

  private countPages(purpose: Purpose): void {
    const { counters } = this.tables;
    const { dataPages, unchangedPages } = this.table;
    counters.add(purpose === PURPOSE.PASS ? "stageOnePages" : "stageThreePages", dataPages);
    const counter = PURPOSE_COUNTER[purpose];
    if (counter !== null) counters.add(counter, dataPages);
    if (this.zeroPages > 0) counters.add("zeroPages", this.zeroPages);
    if (unchangedPages > 0) counters.add("unchangedPages", unchangedPages);
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
