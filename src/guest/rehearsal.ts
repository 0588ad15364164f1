import { openSync } from "node:fs";
import { devNull } from "node:os";
import { createHistogram } from "node:perf_hooks";
import type { GuestMemory } from "../memory/access.js";
import { AtomicPageBitmap } from "../memory/bitmap.js";
import { EpochMember } from "../memory/epoch.js";
import { everyPage, PAGE_BYTES, RAM_GRAIN_BYTES } from "../memory/geometry.js";
import { GuestRam } from "../memory/ram.js";
import { TrackedMemory, type VcpuWaits } from "../memory/tracked-memory.js";
import { ABSENT, FIRST_EPOCH, VCPU_WORDS, vcpuWords } from "../memory/words.js";
import { FaultLine, FaultLines } from "../transport/fault-lines.js";
import type { GuestProgram } from "./program.js";
import { TouchedPages } from "./touched-pages.js";
import { Vcpu } from "./vcpu.js";

/** Faults of a round: enough for the compiler to take their path seriously, in all rounds together. */
const FAULTS = 100;
const ROUNDS = 6;
/** One fault in so many comes by an access; see `rehearseAccesses`. */
const FAULTS_PER_ACCESS = 8;
/** Of each kind: few enough of them fault that V8 does not compile faults into accesses. */
const WATCHED_ACCESSES = 100;
const PLAIN_ACCESSES = 20_000;

const WORD = new Uint8Array(8);

/** All that a guest does to its memory, but to wait. */
const ACCESSES: readonly ((memory: GuestMemory, address: number, value: number) => unknown)[] = [
  (memory, address) => memory.loadU8(address),
  (memory, address) => memory.loadU16(address),
  (memory, address) => memory.loadU32(address),
  (memory, address) => memory.loadI32(address),
  (memory, address) => memory.loadU64(address),
  (memory, address) => memory.loadF32(address),
  (memory, address) => memory.loadF64(address),
  (memory, address, value) => {
    memory.store8(address, value);
  },
  (memory, address, value) => {
    memory.store16(address, value);
  },
  (memory, address, value) => {
    memory.store32(address, value);
  },
  (memory, address, value) => {
    memory.store64(address, BigInt(value));
  },
  (memory, address, value) => {
    memory.storeF32(address, value);
  },
  (memory, address, value) => {
    memory.storeF64(address, value);
  },
  (memory, address) => {
    memory.readBytes(address, WORD);
  },
  (memory, address) => {
    memory.writeBytes(address, WORD);
  },
  (memory, address, value) => {
    memory.fill(address, WORD.byteLength, value);
  },
  (memory, address) => memory.atomicLoad32(address),
  (memory, address, value) => {
    memory.atomicStore32(address, value);
  },
  (memory, address, value) => memory.atomicAdd32(address, value),
  (memory, address, value) => memory.atomicCompareExchange32(address, value, value + 1),
];

/** Goes through what the downtime of a vCPU's guest would wait for, or its first operations here. */
export function rehearse(): void {
  try {
    const ram = GuestRam.allocate(RAM_GRAIN_BYTES, 1);
    rehearseFaults(ram);
    rehearseWatch(ram);
    rehearseAccesses(ram);
  } catch (error) {
    // There is no memory for it, or no descriptor: then they take a few milliseconds longer.
    if (!(error instanceof RangeError) && !isSystemError(error)) throw error;
  }
}

function isSystemError(error: unknown): boolean {
  return error instanceof Error && "errno" in error;
}

/**
 * Runs guests of nobody, whose every operation faults. Code that runs for the first time takes a millisecond where
 * it takes a tenth of one later, and the first operation here is what a guest's downtime ends with.
 */
function rehearseFaults(ram: GuestRam): void {
  ram.stamps.fill(ABSENT);
  ram.arrived.addRange(everyPage(ram.byteLength));
  const lines = new FaultLines(1);
  lines.open(0, openSync(devNull, "w"));
  try {
    // Each with a line of its own class: V8 compiles for the kinds that it has seen while they are few, and throws that away
    // when a real line comes.
    for (let round = 0; round < ROUNDS; round += 1) runFaultingGuest(ram, lines);
  } finally {
    lines.close();
  }
}

function runFaultingGuest(ram: GuestRam, lines: FaultLines): void {
  const requested = AtomicPageBitmap.create(ram.pageCount);
  const prepulled = AtomicPageBitmap.create(ram.pageCount);
  const bytes = new Uint8Array(ram.byteLength);
  const awaited = vcpuWords(0) + VCPU_WORDS.AWAITED;
  // Brings the page before the vCPU sleeps, as the thread would that brings a real one.
  const line = new (class extends FaultLine {
    override flush(): boolean {
      const hasLeft = super.flush();
      ram.arrived.claim(Atomics.exchange(ram.words, awaited, 0) - 1);
      return hasLeft;
    }
  })(lines.words, 0);
  const end = new Error("the rehearsal is over");
  let faults = 0;
  const program: GuestProgram = {
    name: "rehearsal",
    summary: "",
    settings: {},
    boot: () => [],
    step(memory) {
      if (faults === FAULTS) throw end;
      const page = faults % ram.pageCount;
      faults += 1;
      ram.arrived.take(page);
      requested.bitmap.take(page);
      if (faults % 2 === 0) prepulled.bitmap.claim(page);
      if (faults % FAULTS_PER_ACCESS === 0) memory.loadU32(page * PAGE_BYTES);
      else vcpu.awaitPage(page);
      // All of them are here, and none is published, as at first in a guest that has arrived.
      memory.readBytes(0, bytes);
      return 1;
    },
  };
  // As it comes by message: V8 tells objects apart by how they were made.
  const seat = structuredClone({
    ram: ram.handle,
    vcpu: 0,
    program: "",
    programSha256: null,
    options: {},
    faults: { lines: lines.words, requested: requested.buffer, prepulled: prepulled.buffer },
    latencyUs: createHistogram(),
  });
  const vcpu = new Vcpu(seat, program, () => undefined, line);
  try {
    vcpu.run({}, 0);
  } catch (error) {
    if (error !== end) throw error;
  }
}

/** Watches operations of nobody's guest, as is done with the last one before a handover; see touched-pages.ts. */
function rehearseWatch(ram: GuestRam): void {
  // Half of its pages are published, and of the others half are here.
  ram.stamps.fill(FIRST_EPOCH, 0, ram.pageCount / 2);
  for (let page = ram.pageCount / 2; page < ram.pageCount; page += 2) ram.arrived.take(page);
  const epoch = new EpochMember(ram.words, 0);
  const touched = new TouchedPages(ram, epoch, NO_WAITS);
  const { memory } = touched;
  for (let operation = 0; operation < WATCHED_ACCESSES; operation += 1) {
    const address = (operation % ram.pageCount) * PAGE_BYTES;
    for (const access of ACCESSES) access(memory, address, operation);
    touched.take();
  }
}

/**
 * Accesses nobody's memory, whose pages are all there. V8 compiles into an access as much of a fault as it has seen faults
 * among accesses, and an arriving guest has most of its own at first: its first accesses would be compiled with
 * all of a fault in each, and later ones would be slower for it (docs/adr/0029).
 */
function rehearseAccesses(ram: GuestRam): void {
  ram.stamps.fill(FIRST_EPOCH);
  const memory = new TrackedMemory(ram, new EpochMember(ram.words, 0), NO_WAITS);
  for (const access of ACCESSES) {
    for (let operation = 0; operation < PLAIN_ACCESSES; operation += 1) {
      access(memory, (operation % ram.pageCount) * PAGE_BYTES, operation);
    }
  }
}

/** Of a vCPU that never has to. */
const NO_WAITS: VcpuWaits = {
  awaitPage: () => undefined,
  foundPage: () => undefined,
  futexWait: () => "interrupted",
};
