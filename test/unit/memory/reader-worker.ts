import { parentPort, workerData } from "node:worker_threads";
import { EpochMember } from "../../../src/memory/epoch.js";
import { GuestRam } from "../../../src/memory/ram.js";
import { TrackedMemory } from "../../../src/memory/tracked-memory.js";
import { VCPU_WORDS, vcpuWords } from "../../../src/memory/words.js";
import { randomNumbers } from "../../random.js";
import { Gate } from "./gate.js";
import { freshWord, type PublicationSeat, type ReaderReport } from "./publication-contract.js";

/** A vCPU that reads all the time, anywhere, and waits for pages that are missing. */
const seat = workerData as PublicationSeat;
const ram = new GuestRam(seat.ram);
const gate = new Gate(seat.gate);
const epoch = new EpochMember(ram.words, seat.vcpu ?? 0);
const random = randomNumbers(seat.seed);
const awaited = vcpuWords(seat.vcpu ?? 0) + VCPU_WORDS.AWAITED;

let [reads, waited, found] = [0, 0, 0];
let wrong: ReaderReport["wrong"] = null;

const memory = new TrackedMemory(ram, epoch, {
  awaitPage: (page) => {
    waited += 1;
    epoch.quiesce();
    // Announced before the bitmap is looked at: who brings the page does the two the other way round.
    Atomics.store(ram.words, awaited, page + 1);
    while (!ram.arrived.has(page)) Atomics.wait(ram.words, awaited, page + 1);
    epoch.rejoin();
  },
  foundPage: () => (found += 1),
  futexWait: () => "timed-out",
});

let round = 0;
epoch.rejoin();
for (;;) {
  epoch.acknowledge();
  if (gate.isClosed) {
    epoch.quiesce();
    gate.pass(() => {
      const published = reads - waited - found;
      parentPort?.postMessage({ waited, found, published, wrong } satisfies ReaderReport);
      [reads, waited, found] = [0, 0, 0];
      round += 1;
    });
    epoch.rejoin();
  }
  for (let left = 200; left > 0; left -= 1) {
    const address = random(ram.byteLength / 4) * 4;
    const read = memory.loadU32(address);
    reads += 1;
    if (read !== freshWord(address, round)) wrong ??= { address, read };
  }
}
