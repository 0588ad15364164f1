import { everyPage, PAGE_BYTES, RAM_GRAIN_BYTES } from "../memory/geometry.js";
import { createPageKernel } from "../memory/kernel.js";
import { GuestRam } from "../memory/ram.js";
import { mixedPages } from "../memory/sample-pages.js";
import { VCPU_WORDS, vcpuWords } from "../memory/words.js";
import { bulkChannels, URGENT } from "../protocol/channel-names.js";
import { DeltaTable } from "../protocol/deltas.js";
import { nextSequence } from "../protocol/frame.js";
import {
  encodeWords,
  FIRST_DATA_SEQUENCE,
  FRAME_TYPES,
  PageTable,
  type Purpose,
  PURPOSE,
  RUN_KIND,
  type RunKind,
} from "../protocol/pages.js";
import { ArrivalTables } from "./arrival-tables.js";
import { Channel } from "./channel.js";

/** Enough for the compiler to take the path of a requested page seriously. */
const REQUESTS = 400;
/** So often all pages of a guest of this size, and its dirty ones. */
const PASSES = 10;
const PUSHES = 40;
const RAM_BYTES = 2 ** 20;
const FRAME_PAGES = 64;
/** After so many rounds nearly all that runs in a pass and in stage three is compiled. */
const ROUNDS = 6;

/**
 * What a thread goes through while it waits for a seat. Each round has channels of its own, since V8 takes functions that it has
 * seen of one object only for that object's.
 */
export function* rehearsal(): Generator<void> {
  const ram = GuestRam.allocate(RAM_BYTES, 1);
  for (let round = 0; round < ROUNDS; round += 1) {
    rehearseRequests(ram);
    yield;
    rehearseStages(ram);
    yield;
  }
}

/**
 * Asks for pages of nobody's guest, and takes them in. Code that runs for the first time takes a millisecond where it
 * takes a tenth of one later, and the first requested page is the one that a guest's downtime waits for. The page
 * kernels, which V8 compiles well only once they have run some hundred times in a process, are rehearsed with it.
 */
export function rehearseRequests(ram = GuestRam.allocate(RAM_GRAIN_BYTES, 1)): void {
  const arrival = new NobodysArrival(URGENT, ram);
  arrival.takeOver(REQUESTS);
  const { pageCount, words } = arrival.ram;
  const awaited = vcpuWords(0) + VCPU_WORDS.AWAITED;
  for (let request = 0; request < REQUESTS; request += 1) {
    const page = request % pageCount;
    arrival.lose([page]);
    Atomics.store(words, awaited, page + 1);
    if (request % 2 === 0) arrival.bring([page], PURPOSE.PULL);
    else arrival.bringDeltas([page], PURPOSE.PULL);
  }
  arrival.end();
}

/**
 * Takes in pages that are passed and then pushed to nobody's guest. What V8 has not compiled by the time of a migration it compiles then,
 * on threads of its own, and vCPUs that wait for a page wait for a core as well.
 */
function rehearseStages(ram: GuestRam): void {
  const [bulk = ""] = bulkChannels(1);
  const pages = [...mixedPages(ram.pageCount).pages()];
  // Some come that are here already, as when a vCPU has asked for them.
  const lostIn = (push: number) => pages.filter((page) => page % 16 !== push % 16);
  const lost = Array.from({ length: PUSHES }, (_, push) => lostIn(push));
  const arrival = new NobodysArrival(bulk, ram);
  for (let pass = 1; pass <= PASSES; pass += 1) arrival.pass(pass);
  arrival.takeOver(lost.flat().length);
  for (const missing of lost) {
    arrival.lose(missing);
    for (let first = 0; first < pages.length; first += FRAME_PAGES) {
      const purpose = first === 0 ? PURPOSE.PREPULL : PURPOSE.PUSH;
      const some = pages.slice(first, first + FRAME_PAGES);
      const whole = some.filter((page) => page % 4 < 2);
      if (whole.length > 0) arrival.bring(whole, purpose);
      const deltas = some.filter((page) => page % 4 >= 2);
      if (deltas.length > 0) arrival.bringDeltas(deltas, purpose);
    }
  }
  arrival.end();
}

/** The arrival of a guest that nobody needs. Every page of it is zero, and comes as if it were not. */
class NobodysArrival {
  readonly ram: GuestRam;
  private readonly tables: ArrivalTables;
  private readonly channel: Channel;
  private readonly table = new PageTable();
  private readonly deltas = new DeltaTable();
  private readonly checksum: readonly [low: number, high: number];
  private sequence = FIRST_DATA_SEQUENCE;
  private reads = 0;
  private isWhole = false;
  private readonly frame = new Uint8Array((FRAME_PAGES + 1) * PAGE_BYTES);

  constructor(channel: string, { handle, pageCount }: GuestRam) {
    const tables = ArrivalTables.create(pageCount, 1).handle;
    const bulkIndex = channel === URGENT ? null : 0;
    // As it comes by message: V8 tells objects apart by how they were made.
    const seat = structuredClone({ channel, bulkIndex, ram: handle, tables });
    this.ram = new GuestRam(seat.ram);
    this.tables = new ArrivalTables(seat.tables);
    this.channel = new Channel(seat, (report) => {
      if (report.type !== "whole") throw wrong(JSON.stringify(report.failure));
      this.isWhole = true;
    });
    const kernel = createPageKernel(seat.ram.memory);
    this.checksum = [kernel.checksumPage(0), kernel.checksumHigh()];
  }

  /** Stage one: all pages, in order. */
  pass(pass: number): void {
    const { pageCount } = this.ram;
    for (let first = 0; first < pageCount; first += FRAME_PAGES) {
      const count = Math.min(FRAME_PAGES, pageCount - first);
      this.bring(
        Array.from({ length: count }, (_, at) => first + at),
        PURPOSE.PASS,
        pass,
      );
    }
    this.read(encodeWords(FRAME_TYPES.BARRIER, this.nextSequence(), [pass]));
    const passed = this.tables.counters.read("pagesPassed");
    if (passed !== pass * pageCount) throw wrong(`${String(passed)} pages have been passed over`);
  }

  /** Stage three: every page is here, and all told `missingPages` will be lost. */
  takeOver(missingPages: number): void {
    const all = everyPage(this.ram.byteLength);
    this.tables.claimed.addRange(all);
    this.ram.arrived.addRange(all);
    this.tables.enterStageThree(missingPages);
  }

  lose(pages: readonly number[]): void {
    for (const page of pages) {
      this.tables.claimed.take(page);
      this.ram.arrived.take(page);
    }
  }

  /** In one frame. */
  bring(pages: readonly number[], purpose: Purpose, pass = 0): void {
    const { table } = this;
    table.reset();
    const [low, high] = this.checksum;
    for (const page of pages) {
      // Of a pass some pages have been written while they were sent.
      const isTorn = purpose === PURPOSE.PASS && page % 64 === 11;
      table.add(page, kindOf(page, purpose), isTorn ? ~low : low, high);
    }
    const front = table.bytes(purpose, pass, this.nextSequence());
    const frame = this.frame.subarray(0, front.byteLength + table.dataPages * PAGE_BYTES);
    frame.fill(0).set(front);
    this.read(frame);
  }

  /** The same, of each page only some blocks. */
  bringDeltas(pages: readonly number[], purpose: Purpose): void {
    const { deltas } = this;
    deltas.reset();
    for (const page of pages) deltas.add(page, 1 + ((page * 37) % 4095), ...this.checksum);
    const frame = this.frame.subarray(0, deltas.frameBytes).fill(0);
    deltas.writeTo(new DataView(frame.buffer), purpose, this.nextSequence());
    this.read(frame);
  }

  /** Throws unless every page has come. */
  end(): void {
    if (!this.isWhole) throw wrong(`${String(this.tables.missingPages)} pages have not come`);
  }

  private nextSequence(): number {
    const { sequence } = this;
    this.sequence = nextSequence(sequence);
    return sequence;
  }

  private read(bytes: Uint8Array): void {
    const { places } = this.channel;
    for (let at = 0; at < bytes.byteLength;) {
      const place = places.next();
      // Now and then no more has come than half.
      this.reads += 1;
      const most = this.reads % 4 === 0 ? Math.ceil(place.byteLength / 2) : place.byteLength;
      const piece = bytes.subarray(at, at + most);
      place.set(piece);
      places.filled(piece.byteLength);
      at += piece.byteLength;
    }
  }
}

/** What a vCPU asks for has contents; of the rest some pages have none. A pass knows of no page that is there. */
function kindOf(page: number, purpose: Purpose): RunKind {
  if (purpose === PURPOSE.PULL) return RUN_KIND.DATA;
  if (page % 64 === 7) return RUN_KIND.ZERO;
  if (page % 64 === 9 && purpose !== PURPOSE.PASS) return RUN_KIND.UNCHANGED;
  return RUN_KIND.DATA;
}

function wrong(what: string): Error {
  return new Error(`a rehearsal went wrong: ${what}`);
}
