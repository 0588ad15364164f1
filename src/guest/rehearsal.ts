import { openSync } from "node:fs";
import { devNull } from "node:os";
import { createHistogram } from "node:perf_hooks";
import { AtomicPageBitmap } from "../memory/bitmap.js";
import { EpochMember } from "../memory/epoch.js";
import { PAGE_BYTES, RAM_GRAIN_BYTES } from "../memory/geometry.js";
import { GuestRam } from "../memory/ram.js";
import { VCPU_WORDS, vcpuWords } from "../memory/words.js";
import { FaultLine, FaultLines } from "../transport/fault-lines.js";
import type { GuestProgram } from "./program.js";
import { TouchedPages } from "./touched-pages.js";
import { Vcpu } from "./vcpu.js";

/** Enough for the compiler to take a path seriously. */
const OPERATIONS = 400;

/**
 * Runs a guest of nobody, whose every operation faults. Code that runs for the first time takes a millisecond where
 * it takes a tenth of one later, and the first operation here is what a guest's downtime ends with.
 */
export function rehearseFaults(): void {
  const ram = GuestRam.allocate(RAM_GRAIN_BYTES, 1);
  const requested = AtomicPageBitmap.create(ram.pageCount);
  const lines = new FaultLines(1);
  lines.open(0, openSync(devNull, "w"));
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
    step() {
      if (faults === OPERATIONS) throw end;
      const page = faults % ram.pageCount;
      faults += 1;
      ram.arrived.take(page);
      requested.bitmap.take(page);
      // Not by a store to a page that is absent: V8 would take stores for something that mostly faults, and compile the
      // guest's own with all of a fault in each.
      vcpu.awaitPage(page);
      return 1;
    },
  };
  const seat = {
    ram: ram.handle,
    vcpu: 0,
    program: "",
    programSha256: null,
    options: {},
    faults: {
      lines: lines.words,
      requested: requested.buffer,
      prepulled: AtomicPageBitmap.create(ram.pageCount).buffer,
    },
    latencyUs: createHistogram(),
  };
  const vcpu = new Vcpu(seat, program, () => undefined, line);
  try {
    vcpu.run({}, 0);
  } catch (error) {
    if (error !== end) throw error;
  }
  lines.close();
}

/** Watches operations of nobody's guest, as is done with the last one before a handover; see touched-pages.ts. */
export function rehearseWatch(): void {
  const ram = GuestRam.allocate(RAM_GRAIN_BYTES, 1);
  const epoch = new EpochMember(ram.words, 0);
  const touched = new TouchedPages(ram, epoch, {
    awaitPage: () => undefined,
    foundPage: () => undefined,
    futexWait: () => "interrupted",
  });
  const { memory } = touched;
  for (let operation = 0; operation < OPERATIONS; operation += 1) {
    const address = (operation % ram.pageCount) * PAGE_BYTES;
    memory.store32(address, operation);
    memory.loadU32(address);
    memory.loadU8(address);
    memory.fill(address, 8, operation);
    touched.take();
  }
}
