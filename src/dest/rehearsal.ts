import { PAGE_BYTES, RAM_GRAIN_BYTES } from "../memory/geometry.js";
import { createPageKernel } from "../memory/kernel.js";
import { GuestRam } from "../memory/ram.js";
import { VCPU_WORDS, vcpuWords } from "../memory/words.js";
import { encodeWords, FRAME_TYPES, PageTable, PURPOSE, RUN_KIND } from "../protocol/pages.js";
import { GatheringSink } from "../transport/gathering-sink.js";
import { Arrival } from "./arrival.js";
import { ArrivalTables } from "./arrival-tables.js";
import { PageReceiver } from "./page-receiver.js";

/** Enough for the compiler to take the path of a requested page seriously. */
const REQUESTS = 400;

/**
 * Asks for pages of nobody's guest, and takes them in. Code that runs for the first time takes a millisecond where it
 * takes a tenth of one later, and the first requested page is the one that a guest's downtime waits for. The page
 * kernels, which V8 compiles well only once they have run some hundred times in a process, are rehearsed with it.
 */
export function rehearseRequests(): void {
  const ram = GuestRam.allocate(RAM_GRAIN_BYTES, 1);
  const tables = ArrivalTables.create(ram.pageCount);
  tables.enterStageThree(Number.MAX_SAFE_INTEGER);
  const nothing = () => undefined;
  const arrival = new Arrival(ram, tables, {
    torn: nothing,
    credit: (bytes) => {
      encodeWords(FRAME_TYPES.CREDIT, 0, [bytes]);
    },
    barrierPassed: nothing,
    requestAgain: nothing,
    whole: nothing,
  });
  const sink = new GatheringSink(new PageReceiver(arrival, 0));
  // Every page is zero, and comes as if it were not.
  const kernel = createPageKernel(ram.handle.memory);
  const low = kernel.checksumPage(0);
  const high = kernel.checksumHigh();
  const table = new PageTable();
  const awaited = vcpuWords(0) + VCPU_WORDS.AWAITED;
  for (let sequence = 0; sequence < REQUESTS; sequence += 1) {
    const page = sequence % ram.pageCount;
    tables.claimed.take(page);
    ram.arrived.take(page);
    Atomics.store(ram.words, awaited, page + 1);
    table.reset();
    table.add(page, RUN_KIND.DATA, low, high);
    const front = table.bytes(PURPOSE.PULL, 0, sequence);
    const buffer = sink.next();
    buffer.set(front);
    buffer.fill(0, front.byteLength, front.byteLength + PAGE_BYTES);
    sink.filled(front.byteLength + PAGE_BYTES);
  }
}
