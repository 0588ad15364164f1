import { parentPort, workerData } from "node:worker_threads";
import { EpochMember } from "../../../src/memory/epoch.js";
import { PAGE_BYTES } from "../../../src/memory/geometry.js";
import { GuestRam } from "../../../src/memory/ram.js";
import { TrackedMemory } from "../../../src/memory/tracked-memory.js";
import { randomNumbers } from "../../random.js";
import { Gate } from "./gate.js";
import { SHARED_PAGES, type WriterSeat } from "./vcpu-contract.js";

const seat = workerData as WriterSeat;
const ram = new GuestRam(seat.ram);
const epoch = new EpochMember(ram.words, seat.vcpu);
const random = randomNumbers(seat.seed);
const gate = new Gate(seat.gate);
const memory = new TrackedMemory(ram, epoch, {
  awaitPage: (page) => {
    throw new Error(`page ${String(page)} is missing`);
  },
  foundPage: () => undefined,
  futexWait: () => "timed-out",
});

function somePage(): number {
  return random(random(2) === 0 ? SHARED_PAGES : ram.pageCount);
}

/** One write of any kind to `page`, of a value that was not there before. */
function write(page: number, value: number): void {
  const address = page * PAGE_BYTES + random(PAGE_BYTES / 8) * 8;
  switch (random(16)) {
    case 0:
      memory.atomicAdd32(address, 1);
      break;
    case 1:
      // Across the end of the page, where there is another.
      memory.fill(Math.min((page + 1) * PAGE_BYTES - 4, ram.byteLength - 8), 8, value);
      break;
    case 2:
      memory.storeF64(address, value);
      break;
    case 3:
      memory.store8(address + random(8), value);
      break;
    default:
      memory.store32(address, value);
  }
}

let value = 0;
epoch.rejoin();
for (;;) {
  epoch.acknowledge();
  if (gate.isClosed) {
    epoch.quiesce();
    gate.pass(() => parentPort?.postMessage("paused"));
    epoch.rejoin();
  }
  const pages = Array.from({ length: 1 + random(4) }, somePage);
  for (let left = 500 + random(5000); left > 0; left -= 1) {
    value += 1;
    write(pages[random(pages.length)]!, value);
  }
  if (random(8) === 0) {
    // As a vCPU does that sleeps for a moment.
    epoch.quiesce();
    epoch.rejoin();
  }
}
