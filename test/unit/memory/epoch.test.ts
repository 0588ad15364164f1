import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { monotonicClock } from "../../../src/clock.js";
import { EpochMember, epochHolds, openEpoch, whenEpochHolds } from "../../../src/memory/epoch.js";
import { GuestRam } from "../../../src/memory/ram.js";
import { FIRST_EPOCH, GUEST_WORDS, QUIESCENT } from "../../../src/memory/words.js";
import { OBSERVED, type SleeperSeat, STANDING_STILL } from "./sleeper-contract.js";
import { startThread } from "./threads.js";

function createVcpus(vcpuCount: number) {
  const { words } = GuestRam.allocate(64 * 1024, vcpuCount);
  const vcpus = Array.from({ length: vcpuCount }, (_, vcpu) => new EpochMember(words, vcpu));
  return { words, vcpus, holds: (epoch: number) => epochHolds(words, vcpuCount, epoch) };
}

test("an epoch holds at once when no vCPU runs", () => {
  const { words, holds } = createVcpus(3);
  const epoch = openEpoch(words);
  assert.equal(epoch, FIRST_EPOCH + 1);
  assert.equal(holds(epoch), true);
});

test("an epoch holds only when every vCPU that runs has passed a safepoint", () => {
  const { words, vcpus, holds } = createVcpus(3);
  const [a, b] = vcpus;
  a!.rejoin();
  b!.rejoin();
  const epoch = openEpoch(words);
  assert.equal(holds(epoch), false);
  a!.acknowledge();
  assert.equal(holds(epoch), false);
  b!.acknowledge();
  assert.equal(holds(epoch), true);
  assert.equal(holds(openEpoch(words)), false);
});

test("a vCPU that touches no memory is not waited for, and learns of the epoch when it rejoins", () => {
  const { words, vcpus, holds } = createVcpus(1);
  const [vcpu] = vcpus;
  vcpu!.rejoin();
  assert.equal(vcpu!.current, FIRST_EPOCH);
  vcpu!.quiesce();
  const epoch = openEpoch(words);
  assert.equal(holds(epoch), true);
  vcpu!.rejoin();
  assert.equal(vcpu!.current, epoch);
  assert.equal(holds(epoch), true);
  assert.equal(holds(openEpoch(words)), false);
});

test("a vCPU keeps its epoch between safepoints", () => {
  const { words, vcpus } = createVcpus(1);
  const [vcpu] = vcpus;
  vcpu!.rejoin();
  const before = vcpu!.current;
  openEpoch(words);
  openEpoch(words);
  assert.equal(vcpu!.current, before);
  vcpu!.acknowledge();
  assert.equal(vcpu!.current, before + 2);
});

test("whenEpochHolds resolves when the last vCPU has passed its safepoint, and not before", async () => {
  const { words, vcpus } = createVcpus(2);
  for (const vcpu of vcpus) vcpu.rejoin();
  const epoch = openEpoch(words);
  let isHeld = false;
  const held = whenEpochHolds(words, 2, epoch).then(() => (isHeld = true));
  // A pending waitAsync does not keep the process alive; the guest's threads do that otherwise.
  const alive = setInterval(() => undefined, 1000);
  vcpus[1]!.acknowledge();
  await new Promise(setImmediate);
  assert.equal(isHeld, false);
  vcpus[0]!.quiesce();
  await held;
  clearInterval(alive);
});

test("a vCPU that wakes while an epoch opens is waited for, or wakes in that epoch", async (t) => {
  const ram = GuestRam.allocate(64 * 1024, 1);
  const observed = new Int32Array(new SharedArrayBuffer(4));
  Atomics.store(observed, OBSERVED, STANDING_STILL);
  const seat: SleeperSeat = { ram: ram.handle, observed: observed.buffer };
  await once(startThread(t, "sleeper-worker.js", seat), "online");
  let isAwake = 0;
  const endMs = monotonicClock.nowMs() + 700;
  while (monotonicClock.nowMs() < endMs) {
    const epoch = openEpoch(ram.words);
    while (!epochHolds(ram.words, 1, epoch));
    for (let looks = 0; looks < 10; looks += 1) {
      const seen = Atomics.load(observed, OBSERVED);
      if (seen < epoch)
        assert.fail(`epoch ${String(epoch)} holds, and the vCPU is in ${String(seen)}`);
      if (seen !== STANDING_STILL) isAwake += 1;
    }
  }
  // Else nothing was tried.
  assert.ok(isAwake > 0);
});

test("openEpoch refuses the number that means quiescent", () => {
  const { words } = createVcpus(1);
  Atomics.store(words, GUEST_WORDS.EPOCH, QUIESCENT - 2);
  assert.equal(openEpoch(words), QUIESCENT - 1);
  assert.throws(() => openEpoch(words), RangeError);
});
