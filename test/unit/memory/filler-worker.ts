import { parentPort, workerData } from "node:worker_threads";
import { PAGE_BYTES } from "../../../src/memory/geometry.js";
import { GuestRam } from "../../../src/memory/ram.js";
import { VCPU_WORDS, vcpuWords } from "../../../src/memory/words.js";
import { randomNumbers } from "../../random.js";
import { Gate } from "./gate.js";
import { freshWord, type PublicationSeat } from "./publication-contract.js";

/** Brings every page once in each round, in any order, as a receiver does: bytes, bit, wake. */
const seat = workerData as PublicationSeat;
const ram = new GuestRam(seat.ram);
const words = new Uint32Array(ram.buffer);
const gate = new Gate(seat.gate);
const random = randomNumbers(seat.seed);
const order = Array.from({ length: ram.pageCount }, (_, page) => page);

function bring(page: number, round: number): void {
  const start = page * PAGE_BYTES;
  for (let at = start; at < start + PAGE_BYTES; at += 4) words[at / 4] = freshWord(at, round);
  ram.arrived.claim(page);
  for (let vcpu = 0; vcpu < ram.vcpuCount; vcpu += 1) {
    const awaited = vcpuWords(vcpu) + VCPU_WORDS.AWAITED;
    if (Atomics.compareExchange(ram.words, awaited, page + 1, 0) === page + 1) {
      Atomics.notify(ram.words, awaited);
    }
  }
}

for (let round = 0; ;) {
  gate.pass(() => {
    parentPort?.postMessage("still");
    round += 1;
  });
  for (let left = order.length; left > 1; left -= 1) {
    const [other, last] = [random(left), left - 1];
    [order[other], order[last]] = [order[last]!, order[other]!];
  }
  for (const page of order) bring(page, round);
  gate.awaitClosing();
}
