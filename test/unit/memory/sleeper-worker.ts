import { workerData } from "node:worker_threads";
import { EpochMember } from "../../../src/memory/epoch.js";
import { GuestRam } from "../../../src/memory/ram.js";
import { OBSERVED, type SleeperSeat, STANDING_STILL } from "./sleeper-contract.js";

/** A vCPU that does nothing but fall asleep and wake up, and shows the epoch it is in. */
const seat = workerData as SleeperSeat;
const ram = new GuestRam(seat.ram);
const observed = new Int32Array(seat.observed);
const epoch = new EpochMember(ram.words, 0);
for (;;) {
  epoch.rejoin();
  // Seen for a while, so that a wrong epoch does not go unnoticed.
  for (let times = 0; times < 20; times += 1) Atomics.store(observed, OBSERVED, epoch.current);
  Atomics.store(observed, OBSERVED, STANDING_STILL);
  epoch.quiesce();
}
